with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, user_id uuid, kid text, expires_at timestamptz,
    device jsonb, "to" text, job uuid, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
ended_sessions as (
  update sessions s
  set ended_at = t.at, end_reason = 'token-outdated'
  from turns t
  where s.user_id = t.user_id and s.ended_at is null
  returning s.id
),
new_sessions as (
  insert into sessions (id, user_id, issued_at, kid, started_at, expires_at)
  select id, user_id, at, kid, at, expires_at
  from turns
  where (select count(*) from ended_sessions) >= 0
  returning 1
),
sign_ins as materialized (
  select t.*, d.mark is not null as known, exists (select from devices o where o.user_id = t.user_id) as used_before
  from turns t
  left join devices d on d.user_id = t.user_id and d.mark = t.device->>'mark'
),
saved_devices as (
  insert into devices (user_id, mark, seen_at)
  select user_id, device->>'mark', at
  from sign_ins
  on conflict (user_id, mark) do update
  set seen_at = excluded.seen_at
  returning 1
),
deleted_devices as (
  delete from devices d using (
    select o.user_id, o.mark
    from sign_ins k
    cross join lateral (select * from devices where user_id = k.user_id order by seen_at desc offset 50) o
    where not k.known
  ) o
  where d.user_id = o.user_id and d.mark = o.mark
  returning 1
),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, 'letter',
    jsonb_build_object(
      'user_id', user_id, 'to', "to", 'notice',
      jsonb_build_object('notice', 'new_device', 'device', device->>'name', 'at', at)
    ),
    at, user_id
  from sign_ins
  where not known and used_before and "to" is not null
  returning user_id
),
answers as materialized (
  select t.turn,
    jsonb_build_object('notified', exists (select from queued_emails l where l.user_id = t.user_id)) as result
  from turns t
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'account.changed' as kind, null::uuid as page_id, null::uuid as post_id, user_id as user_id,
      null::jsonb as data, at as at
    from turns
  ) t
  where (select count(*) from ended_sessions) >= 0
    and (select count(*) from new_sessions) >= 0
    and (select count(*) from saved_devices) >= 0
    and (select count(*) from deleted_devices) >= 0
    and (select count(*) from queued_emails) >= 0
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
