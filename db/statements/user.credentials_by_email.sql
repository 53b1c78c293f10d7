select id, password_hash, password_version from users where lower(email) = $1
