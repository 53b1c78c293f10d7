with available as materialized (
  select p.id
  from partitions p
  join unnest($2::int[], $3::bigint[]) as k(id, epoch) on k.id = p.id and k.epoch = p.epoch
  where (
    p.node is null
    or p.node = $1
    or not exists (select from nodes o where o.id = p.node and o.lease_until > clock_timestamp())
  )
    and exists (select from nodes n where n.id = $1 and n.lease_until > clock_timestamp())
  -- In the order of commits, so that neither waits for the other.
  order by p.id
  for update of p
)
update partitions p
set epoch = p.epoch + 1, node = $1
from available a
where p.id = a.id
returning p.id as partition, p.epoch
