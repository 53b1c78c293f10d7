update jobs
set kind = $4, payload = payload || $5::jsonb, state = 'waiting', attempts = 0, run_at = now(), lease_until = null
where id = $1 and kind = $2 and attempts = $3 and state = 'running'
returning id
