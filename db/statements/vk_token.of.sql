select version, kind, sealed from vk_tokens where user_id = $1
