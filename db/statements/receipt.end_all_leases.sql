update receipts set lease_until = now() where state = 'running' and lease_until > now()
