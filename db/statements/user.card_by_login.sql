select id, login, first_name, last_name, page_id, avatar_key from users where lower(login) = $1
