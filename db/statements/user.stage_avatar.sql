with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, photos jsonb, at timestamptz, login text, before jsonb,
    after jsonb, by_id uuid, by_role text, reason text
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
  insert into photos (id, key, user_id, position, name, alt, staged_key, created_at)
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
),
entries as materialized (
  select *
  from (
    select turn as place, 'account.profile' as act, by_id, by_role, reason, 'account' as target_kind, id as target_id,
      login as target_name, before as before, after as after, at
    from valid_uploads
    where after is not null
  ) n
  where (select count(*) from saved_photos) >= 0
    and (select count(*) from crop_jobs) >= 0
    and (select count(*) from owned_files) >= 0
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
)
select a.turn, a.result, null as seq, null as events
from answers a
