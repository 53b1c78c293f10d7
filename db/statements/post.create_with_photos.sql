with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, page_id uuid, author_id uuid, text text, tagged uuid[],
    place text, reply_to uuid, at timestamptz, photos jsonb
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
candidates as materialized (
  select t.*,
    exists (
      select
      from pages p
      where p.id = t.page_id
        and p.owner_id = t.author_id
        and p.deleted_at is null
        and coalesce(greatest(p.blocked_until, p.owner_blocked_until), '-infinity') <= now()
    ) as open,
    o.page_id as reply_page_id,
    not exists (
      select
      from jsonb_to_recordset(t.photos) as f(staged_key text)
      where f.staged_key not in (select key from held_files)
    ) as staged
  from turns t
  left join lateral (
    select q.page_id
    from posts q
    join visible_pages(t.author_id) v on v.id = q.page_id
    where q.id = t.reply_to and q.state = 'ready'
  ) o on t.reply_to is not null
),
valid_posts as materialized (
  select * from candidates where open and staged and (reply_to is null or reply_page_id is not null)
),
new_posts as (
  insert into posts (id, page_id, text, tagged, place, reply_to, state, photo_count, created_at, updated_at)
  select id, page_id, text, tagged, place, reply_to, 'processing', jsonb_array_length(photos), at, at
  from valid_posts
  returning 1
),
new_photos as materialized (
  select v.id as owner, f.*, f.place - 1 as position, v.at
  from valid_posts v
  cross join lateral rows
  from (jsonb_to_recordset(v.photos) as (id uuid, key text, staged_key text, name text, alt text)) with ordinality as f(
    id, key, staged_key, name, alt, place
  )
),
saved_photos as (
  insert into photos (id, key, post_id, position, name, alt, staged_key, created_at)
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
  select turn,
    jsonb_build_object(
      'open', open, 'original', reply_to is null or reply_page_id is not null, 'reply_page_id', reply_page_id,
      'published_at', null, 'staged', staged
    ) as result
  from candidates
)
select a.turn, a.result, null as seq, null as events
from answers a
