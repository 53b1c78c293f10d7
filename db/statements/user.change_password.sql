with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, password_hash text, mailbox_mark text, "to" text, job uuid,
    at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
changed_users as (
  update users u
  set password_hash = t.password_hash, password_version = u.password_version + 1, mailbox_mark = t.mailbox_mark,
    verify_nonce = null, verify_expires_at = null, verify_attempts = 0, recover_nonce = null, recover_expires_at = null
  from turns t
  where u.id = t.id
  returning 1
),
ended_sessions as (
  update sessions s
  set ended_at = t.at, end_reason = 'session-ended'
  from turns t
  where s.user_id = t.id and s.ended_at is null
  returning 1
),
notice_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, 'letter',
    jsonb_build_object('user_id', id, 'to', "to", 'notice', jsonb_build_object('notice', 'password_changed', 'at', at)),
    at, id
  from turns
  where "to" is not null
  returning 1
),
answers as materialized (select turn, '{}'::jsonb as result from turns),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'account.changed' as kind, null::uuid as page_id, null::uuid as post_id, id as user_id,
      null::jsonb as data, at as at
    from turns
  ) t
  where (select count(*) from changed_users) >= 0
    and (select count(*) from ended_sessions) >= 0
    and (select count(*) from notice_emails) >= 0
),
event_count as materialized (select count(*) as n from new_events),
event_numbers as (
  update sequencer set seq = seq + (select n from event_count) where (select n from event_count) > 0 returning seq
),
saved_events as (
  insert into events (seq, kind, page_id, post_id, user_id, data, at)
  select (select seq from event_numbers) - (select n from event_count) + row_number() over (order by rank), kind,
    page_id, post_id, user_id, data, at
  from new_events
  where (select seq from event_numbers) is not null
  returning seq, kind, page_id, post_id, user_id, data, at
)
select a.turn, a.result, (select seq from event_numbers) as seq,
  case when row_number() over () = 1 then (select json_agg(e order by e.seq) from saved_events e)::text end as events
from answers a
