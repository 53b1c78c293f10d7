update deliveries
set
  state = case
    when state = 'sending' and not $3::boolean then 'unknown'
    when state in ('sent', 'unknown', 'skipped') then state
    when true then 'sending'
    else 'skipped'
  end,
  at = now()
where event_id = $1 and user_id = $2
returning state
