with bounce as (select email from bounces where email = lower($4) and until > now() for share),
finished_jobs as (delete from jobs using bounce where id = $1 and kind = $2 and attempts = $3 and state = 'running')
select exists (select from bounce) as in_force
