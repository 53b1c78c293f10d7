with expired_pairs as materialized (
  select space, key from kv where expires_at <= now() order by expires_at limit $1 for update skip locked
)
delete from kv k using expired_pairs e
where k.space = e.space and k.key = e.key returning 1
