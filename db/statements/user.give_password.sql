with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, password_hash text, job uuid, at timestamptz, by_id uuid,
    by_role text, reason text
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
previous as materialized (
  select t.*, u.login, u.email, u.email_verified_at
  from turns t
  join users u on u.id = t.id
  order by u.id
  for no key update of u
),
changed_passwords as (
  update users u
  set password_hash = w.password_hash, password_version = u.password_version + 1, verify_nonce = null,
    verify_expires_at = null, verify_attempts = 0, recover_nonce = null, recover_expires_at = null, mailbox_mark = null
  from previous w
  where u.id = w.id
  returning 1
),
ended_sessions as (
  update sessions s
  set ended_at = w.at, end_reason = 'session-ended'
  from previous w
  where s.user_id = w.id and s.ended_at is null
  returning 1
),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, 'letter',
    jsonb_build_object(
      'user_id', id, 'to', email, 'notice', jsonb_build_object('notice', 'password_changed', 'at', at)
    ),
    at, id
  from previous
  where email_verified_at is not null
  returning 1
),
answers as materialized (select turn, '{}'::jsonb as result from previous),
entries as materialized (
  select *
  from (
    select turn as place, 'account.password' as act, by_id, by_role, reason, 'account' as target_kind, id as target_id,
      login as target_name, null::jsonb as before, null::jsonb as after, at
    from previous
  ) n
  where (select count(*) from changed_passwords) >= 0
    and (select count(*) from ended_sessions) >= 0
    and (select count(*) from queued_emails) >= 0
),
log_entries as (
  insert into moderation_log (
    at, act, actor_id, actor_login, actor_role, target_kind, target_id, target_name, reason, before, after
  )
  select n.at, n.act, n.by_id, (select u.login from users u where u.id = n.by_id), coalesce(n.by_role, 'system'),
    n.target_kind, n.target_id, n.target_name, n.reason, n.before, n.after
  from entries n
  order by n.place
  returning seq
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'account.changed' as kind, null::uuid as page_id, null::uuid as post_id, id as user_id,
      case when by_id is null then '{"outside": true}'::jsonb end as data, at as at
    from previous
  ) t
  where (select count(*) from changed_passwords) >= 0
    and (select count(*) from ended_sessions) >= 0
    and (select count(*) from queued_emails) >= 0
    and (select count(*) from log_entries) >= 0
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
