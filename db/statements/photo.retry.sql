with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, page_id uuid, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
owners as materialized (
  select p.id, t.turn, t.at
  from posts p
  join turns t on p.id = t.id and p.page_id = t.page_id
  where p.state = 'failed'
  order by p.id
  for update of p
),
retried_photos as materialized (
  select f.id, f.key, f.staged_key, o.turn, o.at
  from photos f
  join owners o on o.id = f.post_id
  where f.state = 'failed'
    and f.staged_key is not null
    and not exists (select from photos g where g.post_id = f.post_id and g.state = 'failed' and g.staged_key is null)
  order by f.id
  for update of f
),
restarted_photos as (
  update photos f set state = 'processing', problem = null from retried_photos a where f.id = a.id returning 1
),
reopened_posts as (
  update posts p
  set state = 'processing'
  from owners o
  where p.id = o.id and exists (select from retried_photos a where a.turn = o.turn)
  returning 1
),
crop_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select id, 'photo.crop', jsonb_build_object('staged', staged_key, 'key', key), at
  from retried_photos
  on conflict (id) do update
  set kind = excluded.kind, payload = excluded.payload, run_at = excluded.run_at, state = 'waiting', attempts = 0,
    lease_until = null
  returning 1
),
answers as materialized (
  select t.turn, jsonb_build_object('retried', array(select a.id from retried_photos a where a.turn = t.turn)) as result
  from turns t
)
select a.turn, a.result, null as seq, null as events
from answers a
