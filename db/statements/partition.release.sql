update partitions p
set node = null
from unnest($2::int[], $3::bigint[]) as k(id, epoch)
where p.id = k.id and p.epoch = k.epoch and p.node = $1
