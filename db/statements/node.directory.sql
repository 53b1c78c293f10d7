select
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
