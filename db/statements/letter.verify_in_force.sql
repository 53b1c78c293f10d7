select coalesce(pending_email, email) as email from users where id = $1 and verify_nonce = $2
