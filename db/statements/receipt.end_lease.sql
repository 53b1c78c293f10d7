update receipts set lease_until = now() where id = $1 and state = 'running'
