select u.id, u.login, u.first_name, u.last_name, u.email, u.email_verified_at, u.pending_email, u.mailbox_mark, u.role,
  u.page_id, u.avatar_key, u.password_version, u.blocked_until, u.blocked_reason, u.created_at
from users u
where ($2::timestamptz is null or (u.created_at, u.id) < ($2::timestamptz, $3::uuid))
  and ($4::text is null or u.role = $4)
  and (
    $5::text is null
    or strpos(lower(u.login || ' ' || u.email || ' ' || u.first_name || ' ' || u.last_name), lower($5)) > 0
  )
order by u.created_at desc, u.id desc
limit $1
