update deliveries
set state = $3, at = now()
where event_id = $1 and user_id = $2 or digest_id = $1 and user_id = $2 and state = 'digest' and $3 = 'unknown'
