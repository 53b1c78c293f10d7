with existing_reports as materialized (
  select r.*
  from reports r
  where r.id = $1 or r.reporter_id = $2 and r.target_kind = $3 and r.target_id = $4 and r.state <> 'closed'
  order by r.id = $1 desc
  limit 1
),
new_reports as (
  insert into reports (id, reporter_id, target_kind, target_id, target_name, owner_id, reason)
  select $1, $2, $3, $4, $5, $6, $7
  where not exists (select from existing_reports)
    and (select count(*) from reports where reporter_id = $2 and state <> 'closed') < $8
  on conflict do nothing
  returning *
)
select r.id, r.target_kind, r.target_id, r.target_name, r.reason, r.state, r.created_at, r.id = $1 as made
from new_reports r
union all
select r.id, r.target_kind, r.target_id, r.target_name, r.reason, r.state, r.created_at, r.id = $1
from existing_reports r
