update receipts set lease_until = now() + make_interval(secs => $2) where id = any($1::uuid[]) and state = 'running'
