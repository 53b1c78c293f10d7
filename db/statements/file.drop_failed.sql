with deleted_pictures as (
  delete from photos where state = 'failed' and post_id is null and created_at < now() - $1 * interval '1 millisecond'
),
old_uploads as (
  select id, staged_key
  from photos
  where staged_key is not null and state = 'failed' and created_at < now() - $1 * interval '1 millisecond'
  order by created_at
  limit 1000
  for update skip locked
),
released_photos as (update photos f set staged_key = null from old_uploads where f.id = old_uploads.id)
insert into unowned_files (key, due_at)
select staged_key, now()
from old_uploads
on conflict (key) do update
set due_at = excluded.due_at, taken = false
