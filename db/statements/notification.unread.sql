select count(*) as n
from (
  select
  from visible_notifications($1) n
  where n.position > coalesce((select read_position from notification_settings where user_id = $1), 0)
  order by n.position desc
  limit 1000
) n
