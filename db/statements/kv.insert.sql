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
  insert into kv (space, key, value, version, expires_at)
  select t.space, coalesce(g.key, ''), g.value, t.revision, t.ends
  from locked_batches t, unnest(t.keys, t.vals) g (key, value)
),
saved_receipts as (update receipts r set result = '{"ignored": []}' from valid_batches f where r.id = f.receipt)
select gone, repeated, '[]'::json as ignored, '[]'::json as changed
from batch_checks
order by batch
