delete from notifications
where id in (
  select id
  from notifications
  where at < now() - $1 * interval '1 millisecond'
  order by at
  limit $2
  for update skip locked
)
returning 1
