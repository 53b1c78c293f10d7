with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, reason text, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
ended_sessions as (
  update sessions s set ended_at = t.at, end_reason = t.reason from turns t where s.id = t.id returning 1
),
answers as materialized (select turn, '{}'::jsonb as result from turns)
select a.turn, a.result, null as seq, null as events
from answers a
