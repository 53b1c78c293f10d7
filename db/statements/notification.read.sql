with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(turn int, part int, epoch bigint, receipt uuid, user_id uuid, up_to bigint)
  join fence f on f.id = i.part and f.epoch = i.epoch
),
previous as materialized (
  select s.user_id, s.read_position from notification_settings s join turns t on t.user_id = s.user_id
),
read_marks as (
  insert into notification_settings as s (user_id, read_position)
  select t.user_id, least(t.up_to, (select seq from sequencer))
  from turns t
  on conflict (user_id) do update
  set read_position = greatest(s.read_position, excluded.read_position)
  returning s.user_id, s.read_position
),
answers as materialized (select turn, '{}'::jsonb as result from turns),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'notifications.read' as kind, null::uuid as page_id, null::uuid as post_id, r.user_id as user_id,
      null::jsonb as data, now() as at
    from read_marks r
    left join previous h on h.user_id = r.user_id
    where r.read_position > coalesce(h.read_position, 0)
  ) t
  where (select count(*) from read_marks) >= 0
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
