with renewed as (
  insert into nodes (id, lease_until, told, url, actors)
  values ($1, clock_timestamp() + $2 * interval '1 millisecond', $3, $4, $5)
  on conflict (id) do update
  set lease_until = excluded.lease_until, told = excluded.told, url = excluded.url, actors = excluded.actors
  returning 1
)
select (select last_value from acknowledgements) as mark,
  (
    select coalesce(
      json_agg(
        json_build_object(
          'id', n.id, 'url', n.url, 'actors', n.actors, 'started_at', n.started_at, 'left_ms',
          extract(epoch from n.lease_until - clock_timestamp()) * 1000
        )
        order by n.started_at, n.id
      ),
      '[]'
    )
    from nodes n
  ) as nodes,
  (select json_agg(json_build_object('epoch', p.epoch, 'node', p.node) order by p.id) from partitions p) as owners,
  extract(epoch from clock_timestamp())::float8 * 1000 as now_ms
from renewed
