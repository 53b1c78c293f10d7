select p.id, p.uuid, p.name, p.description, p.tags, p.is_private, p.is_personal, p.blocked_until, p.blocked_reason,
  p.owner_blocked_until, p.created_at, p.avatar_key,
  json_build_object(
    'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
    'avatar_key', u.avatar_key
  ) as owner,
  p.follower_count, p.post_count,
  coalesce((select f.state from follows f where f.page_id = p.id and f.user_id = $1), 'none') as follow_state,
  w.created_at as followed_at
from follows w
join pages p on p.id = w.page_id
join users u on u.id = p.owner_id
where w.user_id = $1
  and w.state = $2
  and p.deleted_at is null
  and ($3::timestamptz is null or (w.created_at, w.page_id) < ($3::timestamptz, $4::uuid))
order by w.created_at desc, w.page_id desc
limit $5
