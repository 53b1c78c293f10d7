with previous as materialized (
  select * from reports where id = $1 and state = 'taken' and (handler_id = $2 or $3 = 'admin') for update
),
changed_reports as (
  update reports r
  set state = 'open', handler_id = null, changed_at = now()
  from previous
  where r.id = previous.id
  returning r.*, previous.state as old_state
),
entries as materialized (
  select *
  from (
    select 1 as place, 'report.release' as act, $2::uuid as by_id, $3::text as by_role, r.note as reason,
      'report' as target_kind, r.id as target_id, r.target_kind || ' ' || r.target_name as target_name,
      jsonb_build_object('state', r.old_state) as before,
      jsonb_strip_nulls(jsonb_build_object('state', r.state, 'outcome', r.outcome, 'target_id', r.target_id)) as after,
      now() as at
    from changed_reports r
  ) n
  where (select count(*) from changed_reports) >= 0
),
log_entries as (
  insert into moderation_log (
    at, act, actor_id, actor_login, actor_role, target_kind, target_id, target_name, reason, before, after
  )
  select n.at, n.act, n.by_id, (select u.login from users u where u.id = n.by_id), coalesce(n.by_role, 'system'),
    n.target_kind, n.target_id, n.target_name, n.reason, n.before, n.after
  from entries n
  order by n.place
  returning seq
)
select id
from changed_reports
