with pictures as (
  delete from photos where state = 'failed' and post_id is null and created_at < now() - $1 * interval '1 millisecond'
),
old as (
  select id, staged_key
  from photos
  where staged_key is not null and state = 'failed' and created_at < now() - $1 * interval '1 millisecond'
  order by created_at
  limit 1000
  for update skip locked
),
unstaged as (update photos f set staged_key = null from old where f.id = old.id)
insert into unowned_files (key, due_at)
select staged_key, now()
from old
on conflict (key) do update
set due_at = excluded.due_at, taken = false
