insert into vk_tokens (user_id, version, kind, sealed)
select id, $2::uuid, $3::text, $4::bytea
from users
where id = $1
for key share
on conflict (user_id) do update
set version = excluded.version, kind = excluded.kind, sealed = excluded.sealed, stored_at = now()
returning user_id
