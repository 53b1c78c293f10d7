select u.id, u.login, u.first_name, u.last_name, u.email, u.email_verified_at, u.pending_email, u.mailbox_mark, u.role,
  u.page_id, u.avatar_key, u.password_version, u.blocked_until, u.blocked_reason, u.created_at
from users u
where u.id = $1
