update jobs
set state = 'waiting', attempts = 0, run_at = now(), lease_until = null
where id = $1 and state = 'dead'
returning id, kind, state, attempts, run_at, last_error, user_id, payload ->> 'post_id' as post_id, created_at
