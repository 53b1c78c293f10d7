update jobs
set lease_until = now() + $4 * interval '1 millisecond'
where id = $1 and kind = $2 and attempts = $3 and state = 'running'
