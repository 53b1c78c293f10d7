select r.id, r.target_kind, r.target_id, r.target_name, r.reason, r.state, r.created_at, r.handler_id, r.outcome,
  r.note, r.changed_at, r.owner_id, (select u.role from users u where u.id = r.owner_id) as owner_role,
  (
    select json_build_object(
      'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
      'avatar_key', u.avatar_key
    )
    from users u
    where u.id = r.reporter_id
  ) as reporter,
  (
    select json_build_object(
      'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
      'avatar_key', u.avatar_key
    )
    from users u
    where u.id = r.handler_id
  ) as handler,
  not case
    r.target_kind
    when 'account' then exists (select from users u where u.id = r.target_id)
    when 'page' then exists (select from pages p where p.id = r.target_id and p.deleted_at is null)
    else exists (select from posts p where p.id = r.target_id)
  end as gone,
  to_char(r.changed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as cursor_at
from reports r
where r.state = $1 and ($2::timestamptz is null or (r.changed_at, r.id) < ($2::timestamptz, $3::uuid))
order by r.changed_at desc, r.id desc
limit $4
