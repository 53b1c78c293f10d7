with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, generation int, kid text, expires_at timestamptz,
    at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
refreshed_sessions as (
  update sessions s
  set generation = t.generation, issued_at = t.at, kid = t.kid, expires_at = t.expires_at
  from turns t
  where s.id = t.id
  returning 1
),
answers as materialized (select turn, '{}'::jsonb as result from turns),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'account.changed' as kind, null::uuid as page_id, null::uuid as post_id, s.user_id as user_id,
      null::jsonb as data, t.at as at
    from turns t
    join sessions s on s.id = t.id
  ) t
  where (select count(*) from refreshed_sessions) >= 0
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
