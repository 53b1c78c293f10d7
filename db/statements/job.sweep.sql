with reclaimed_jobs as (
  update jobs
  set state = 'waiting', abandoned = true, run_at = least(run_at, now()), lease_until = null
  where id in (select id from jobs where state = 'running' and lease_until <= now() for update skip locked)
  returning kind
)
select k.kind
from unnest($1::text[]) k (kind)
where exists (select from jobs j where j.kind = k.kind and j.state = 'waiting' and j.run_at <= now())
  or k.kind in (select kind from reclaimed_jobs)
