with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, photos jsonb, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
held_files as materialized (
  select u.key from unowned_files u
  where not u.taken
    and u.key in (
      select f.staged_key from turns t cross join lateral jsonb_to_recordset(t.photos) as f(staged_key text)
    )
  order by u.key for update
),
valid_uploads as materialized (
  select t.*
  from turns t
  where not exists (
    select
    from jsonb_to_recordset(t.photos) as f(staged_key text)
    where f.staged_key not in (select key from held_files)
  )
),
new_photos as materialized (
  select v.id as owner, f.*, f.place - 1 as position, v.at
  from valid_uploads v
  cross join lateral rows
  from (jsonb_to_recordset(v.photos) as (id uuid, key text, staged_key text, name text, alt text)) with ordinality as f(
    id, key, staged_key, name, alt, place
  )
),
saved_photos as (
  insert into photos (id, key, page_id, position, name, alt, staged_key, created_at)
  select id, key, owner, position, name, alt, staged_key, at
  from new_photos
  returning 1
),
crop_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select id, 'photo.crop', jsonb_build_object('staged', staged_key, 'key', key), at
  from new_photos
  returning 1
),
owned_files as (delete from unowned_files u using new_photos f where u.key = f.staged_key returning 1),
answers as materialized (
  select t.turn, jsonb_build_object('staged', exists (select from valid_uploads v where v.turn = t.turn)) as result
  from turns t
)
select a.turn, a.result, null as seq, null as events
from answers a
