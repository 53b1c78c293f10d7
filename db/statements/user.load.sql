select u.id, u.login, u.first_name, u.last_name, u.email, u.email_verified_at, u.pending_email, u.mailbox_mark, u.role,
  u.page_id, u.avatar_key, u.password_version, u.blocked_until, u.blocked_reason, u.created_at, u.verify_nonce,
  u.verify_expires_at, u.verify_attempts, u.recover_nonce, u.recover_expires_at, u.verify_asked_at, u.recover_asked_at,
  u.change_asked_at, s.id as session_id, s.generation, s.issued_at, s.kid
from users u
left join sessions s on s.user_id = u.id and s.ended_at is null
where u.id = $1
