select p.id, p.uuid, p.name, p.description, p.tags, p.is_private, p.is_personal, p.blocked_until, p.blocked_reason,
  p.owner_blocked_until, p.created_at, p.avatar_key,
  json_build_object(
    'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
    'avatar_key', u.avatar_key
  ) as owner,
  p.follower_count, p.post_count,
  coalesce((select f.state from follows f where f.page_id = p.id and f.user_id = $1), 'none') as follow_state
from pages p
join users u on u.id = p.owner_id
where p.owner_id = $2
  and p.deleted_at is null
  and ($3 or coalesce(greatest(p.blocked_until, p.owner_blocked_until), '-infinity') <= now())
  and ($4::timestamptz is null or (p.created_at, p.id) < ($4::timestamptz, $5::uuid))
order by p.created_at desc, p.id desc
limit $6
