select email as email from users where id = $1 and recover_nonce = $2
