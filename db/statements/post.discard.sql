with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(turn int, part int, epoch bigint, receipt uuid, id uuid, page_id uuid)
  join fence f on f.id = i.part and f.epoch = i.epoch
),
deleted_posts as (
  delete from posts p using turns t where p.id = t.id and p.page_id = t.page_id and p.state = 'failed' returning p.id
),
deleted_receipts as (delete from receipts r using deleted_posts x where r.id = x.id returning 1),
answers as materialized (
  select t.turn, jsonb_build_object('discarded', exists (select from deleted_posts r where r.id = t.id)) as result
  from turns t
)
select a.turn, a.result, null as seq, null as events
from answers a
