select id, password_hash, password_version
from users
where lower(pending_email) = $1 and mailbox_mark is null
order by id desc
limit 1
