select count(*) as n
from (
  select
  from visible_notifications($1) n
  where n.position > coalesce((select read_position from notification_settings where user_id = $1), 0)
  -- In any order: a sort would look at all of them first.
  limit 1000
) n
