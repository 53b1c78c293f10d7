delete from deliveries
where (event_id, user_id) in (
  select event_id, user_id from deliveries where at < now() - $1 * interval '1 millisecond' order by at limit $2
)
returning 1
