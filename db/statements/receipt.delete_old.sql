delete from receipts
where id in (
  select id from receipts where created_at < now() - make_interval(hours => $1) order by created_at limit 10000
)
returning id
