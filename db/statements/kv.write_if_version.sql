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
new_pairs as materialized (
  select t.space, coalesce(g.key, '') as key, g.value, t.revision, t.ends, g.version
  from locked_batches t, unnest(t.keys, t.vals, $8::bigint[]) g (key, value, version)
),
current_pairs as materialized (
  select k.key, k.version
  from kv k
  where k.space = ($1::uuid[])[1]
    and k.key in (select key from new_pairs)
    and (k.expires_at is null or k.expires_at > now())
  for update
),
conflicts as materialized (
  select g.key from new_pairs g left join current_pairs h on h.key = g.key where h.version is distinct from g.version
),
written_pairs as (
  update kv k
  set value = g.value, version = g.revision, expires_at = g.ends
  from new_pairs g
  where k.space = g.space and k.key = g.key and not exists (select from conflicts)
),
saved_receipts as (
  update receipts r
  set result = '{"ignored": []}'
  from valid_batches f
  where r.id = f.receipt and not exists (select from conflicts)
)
select gone, repeated, '[]'::json as ignored, (select coalesce(json_agg(key), '[]') from conflicts) as changed
from batch_checks
