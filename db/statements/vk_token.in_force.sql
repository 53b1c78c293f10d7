select version, kind, sealed is null as refused from vk_tokens where user_id = $1
