select login, id from users where lower(login) = any($1::text[])
