select id
from (
  select p.id, 0 as rank
  from pages p
  where lower(p.uuid) = $1 and p.deleted_at is null
  union all
  select p.id, 1
  from old_handles o
  join pages p on p.id = o.page_id
  where o.handle = $1 and o.expires_at > now() and p.deleted_at is null
) f
order by rank
limit 1
