update jobs j
set state = 'waiting', run_at = now() + $3 * interval '1 millisecond', lease_until = null
from (
  select id
  from jobs
  where kind = $1 and (state = 'waiting' and run_at <= now() or state = 'running' and lease_until <= now())
  order by run_at
  limit $2
  for update skip locked
) d
where j.id = d.id
returning j.id
