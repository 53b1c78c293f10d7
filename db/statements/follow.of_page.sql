select u.id, u.login, u.first_name, u.last_name, u.page_id, u.avatar_key, f.created_at as followed_at
from follows f
join users u on u.id = f.user_id
where f.page_id = $1
  and f.state = $2
  and ($3::timestamptz is null or (f.created_at, f.user_id) < ($3::timestamptz, $4::uuid))
order by f.created_at desc, f.user_id desc
limit $5
