update vk_tokens set sealed = $3 where user_id = $1 and version = $2 and sealed is not null
