with batches as materialized (
  select *
  from unnest($1::uuid[], $2::uuid[], $3::int[], string_to_array($4, $6), string_to_array($5, $6)) with ordinality b (
    space, receipt, ttl_s, keys, vals, batch
  )
),
open_receipts as materialized (
  select id from receipts where id = any($2::uuid[]) and result is null order by id for update
),
batch_checks as materialized (
  select b.batch, b.space, b.receipt,
    b.space <> '00000000-0000-0000-0000-000000000000' and (
      select true from users u where u.id = b.space
    ) is null as gone,
    b.receipt is not null and not exists (select from open_receipts o where o.id = b.receipt) as repeated
  from batches b
),
valid_batches as materialized (select * from batch_checks where not gone and not repeated),
spaces as (
  insert into kv_spaces as s (id, owner_id)
  select distinct space, nullif(space, '00000000-0000-0000-0000-000000000000')
  from valid_batches
  order by space
  on conflict (id) do update
  set revision = s.revision + 1
  returning s.id, s.revision
),
locked_batches as (
  select b.batch, b.space, s.revision, now() + b.ttl_s * interval '1 second' as ends,
    string_to_array(b.keys, $7) as keys, string_to_array(b.vals, $7) as vals
  from valid_batches f
  join spaces s on s.id = f.space
  join batches b on b.batch = f.batch
),
written_pairs as (
  insert into kv as k (space, key, value, version, expires_at)
  select t.space, coalesce(g.key, ''), g.value, t.revision, t.ends
  from locked_batches t, unnest(t.keys, t.vals) g (key, value)
  on conflict (space, key) do update
  set value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
  where $8 or k.expires_at <= now()
  returning k.space, k.key
),
ignored_keys as materialized (
  select t.batch, json_agg(coalesce(g.key, '') order by g.at) as keys
  from locked_batches t, unnest(t.keys, t.vals) with ordinality g (key, value, at)
  where (select count(*) from written_pairs) < $9
    and not exists (select from written_pairs w where w.space = t.space and w.key = coalesce(g.key, ''))
  group by t.batch
),
saved_receipts as (
  update receipts r
  set result = jsonb_build_object('ignored', coalesce(o.keys, '[]'))
  from valid_batches f
  left join ignored_keys o on o.batch = f.batch
  where r.id = f.receipt
)
select gone, repeated, coalesce(o.keys, '[]') as ignored, '[]'::json as changed
from batch_checks j
left join ignored_keys o on o.batch = j.batch
order by j.batch
