update jobs
set state = $4, attempts = attempts - case when $7 then 0 else 1 end, run_at = now() + $5 * interval '1 millisecond',
  lease_until = null, last_error = $6
where id = $1 and kind = $2 and attempts = $3 and state = 'running'
