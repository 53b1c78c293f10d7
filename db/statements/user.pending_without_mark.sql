select id, password_hash, password_version
from (select * from users where lower(pending_email) = $1 and mailbox_mark is null offset 0) u
order by id desc
limit 1
