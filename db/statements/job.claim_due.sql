with claimable_jobs as materialized (
  select id
  from jobs
  where kind = $1 and state = 'waiting' and run_at <= now()
  order by run_at
  limit $3
  for update skip locked
)
update jobs j
set state = 'running', attempts = j.attempts + 1, abandoned = false, lease_until = now() + $2 * interval '1 millisecond'
from (select c.id, b.abandoned from claimable_jobs c join jobs b on b.id = c.id) previous
where j.id = previous.id
returning j.id, j.kind, j.payload, j.attempts, previous.abandoned
