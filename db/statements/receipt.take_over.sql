update receipts
set lease_until = now() + make_interval(secs => $2)
where id = $1 and state = 'running' and lease_until <= now()
returning id, result
