select u.id, u.role, u.email_verified_at is not null as verified, u.blocked_until, u.blocked_reason,
  case when s.id is not null then json_build_object('id', s.id, 'generation', s.generation) end as session
from users u
left join sessions s on s.user_id = u.id and s.ended_at is null
where u.id = any($1::uuid[])
