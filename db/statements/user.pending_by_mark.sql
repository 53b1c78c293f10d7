select id from users where lower(pending_email) = $1 and mailbox_mark = $2 order by id limit 1
