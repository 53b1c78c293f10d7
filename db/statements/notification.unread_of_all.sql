select u.id,
  (
    select count(*)
    from (select from visible_notifications(u.id) n where n.position > coalesce(s.read_position, 0) limit 1000) n
  ) as n
from unnest($1::uuid[]) u (id)
left join notification_settings s on s.user_id = u.id
