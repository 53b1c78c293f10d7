update vk_tokens set sealed = null where user_id = $1 and version = $2
