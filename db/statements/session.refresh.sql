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
answers as materialized (select turn, '{}'::jsonb as result from turns)
select a.turn, a.result, null as seq, null as events
from answers a
