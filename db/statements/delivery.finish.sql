with sent_deliveries as (
  update deliveries
  set state = 'sent', at = now()
  where event_id = $1 and user_id = $2 or digest_id = $1 and user_id = $2 and state = 'digest'
),
lifted_bounces as (delete from bounces where email = lower($6))
delete from jobs
where id = $3 and kind = $4 and attempts = $5 and state = 'running'
