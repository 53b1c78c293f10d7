delete from vk_tokens where user_id = $1
