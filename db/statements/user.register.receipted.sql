with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, login text, password_hash text, first_name text,
    last_name text, email text, role text, page_id uuid, verified_at timestamptz, verify_nonce text,
    verify_expires_at timestamptz, letter_job uuid, expire_job uuid, expire_at timestamptz, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
availability as materialized (
  select t.turn, exists (select from handles h where h.handle = lower(t.login)) as login_taken,
    exists (select from users u where lower(u.email) = lower(t.email)) as email_taken
  from turns t
),
new_accounts as materialized (
  select t.* from turns t join availability k on k.turn = t.turn where not k.login_taken and not k.email_taken
),
new_handles as (insert into handles (handle, user_id) select lower(login), id from new_accounts returning 1),
new_users as (
  insert into users (
    id, login, password_hash, first_name, last_name, email, email_verified_at, role, page_id, verify_nonce,
    verify_expires_at, created_at
  )
  select id, login, password_hash, first_name, last_name, email, verified_at, role, page_id, verify_nonce,
    verify_expires_at, at
  from new_accounts
  returning 1
),
new_pages as (
  insert into pages (id, owner_id, is_personal, uuid, name, created_at)
  select page_id, id, true, login, first_name || ' ' || last_name, at
  from new_accounts
  returning 1
),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select letter_job, 'letter',
    jsonb_build_object('letter', 'verify', 'user_id', id, 'nonce', verify_nonce, 'to', email), at, id
  from new_accounts
  where verify_nonce is not null
  returning 1
),
expiry_jobs as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select expire_job, 'user.expire', jsonb_build_object('user_id', id), expire_at, id
  from new_accounts
  where verified_at is null
  returning 1
),
answers as materialized (
  select turn, jsonb_build_object('login_taken', login_taken, 'email_taken', email_taken) as result from availability
),
saved_receipts as (
  update receipts r
  set result = a.result
  from turns t
  join answers a on a.turn = t.turn
  where r.id = t.receipt and not ((a.result->>'login_taken')::boolean or (a.result->>'email_taken')::boolean)
)
select a.turn, a.result, null as seq, null as events
from answers a
