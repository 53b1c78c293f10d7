select p.id, p.uuid, p.name, p.avatar_key,
  json_build_object(
    'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
    'avatar_key', u.avatar_key
  ) as owner
from pages p
join users u on u.id = p.owner_id
where p.id = any($1::uuid[]) and p.deleted_at is null
