with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, purpose text, nonce text, expires_at timestamptz,
    asked_at timestamptz[], "to" text, job uuid, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
new_codes as (
  update users u
  set verify_nonce = case when t.purpose = 'verify' then t.nonce else u.verify_nonce end,
    verify_expires_at = case when t.purpose = 'verify' then t.expires_at else u.verify_expires_at end,
    verify_attempts = case when t.purpose = 'verify' then 0 else u.verify_attempts end,
    recover_nonce = case when t.purpose = 'recover' then t.nonce else u.recover_nonce end,
    recover_expires_at = case when t.purpose = 'recover' then t.expires_at else u.recover_expires_at end,
    verify_asked_at = case when t.purpose = 'verify' then t.asked_at else u.verify_asked_at end,
    recover_asked_at = case when t.purpose = 'recover' then t.asked_at else u.recover_asked_at end
  from turns t
  where u.id = t.id
  returning 1
),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, 'letter', jsonb_build_object('letter', purpose, 'user_id', id, 'nonce', nonce, 'to', "to"), at, id
  from turns
  returning 1
),
answers as materialized (select turn, '{}'::jsonb as result from turns)
select a.turn, a.result, null as seq, null as events
from answers a
