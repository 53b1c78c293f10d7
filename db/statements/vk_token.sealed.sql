select user_id, version, sealed from vk_tokens where user_id > $1 and sealed is not null order by user_id limit $2
