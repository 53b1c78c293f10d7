with batches as materialized (
  select *
  from unnest($1::uuid[], $2::uuid[], $3::int[], string_to_array($4, $6), string_to_array($5, $6)) with ordinality b (
    space, receipt, ttl_s, keys, vals, batch
  )
),
open as materialized (select id from receipts where id = any($2::uuid[]) and result is null order by id for update),
judged as materialized (
  select b.batch, b.space, b.receipt,
    b.space <> '00000000-0000-0000-0000-000000000000' and (
      select true from users u where u.id = b.space
    ) is null as gone,
    b.receipt is not null and not exists (select from open o where o.id = b.receipt) as repeated
  from batches b
),
fit as materialized (select * from judged where not gone and not repeated),
spaces as (
  insert into kv_spaces as s (id, owner_id)
  select distinct space, nullif(space, '00000000-0000-0000-0000-000000000000')
  from fit
  order by space
  on conflict (id) do update
  set revision = s.revision + 1
  returning s.id, s.revision
),
taken as (
  select b.batch, b.space, s.revision, now() + b.ttl_s * interval '1 second' as ends,
    string_to_array(b.keys, $7) as keys, string_to_array(b.vals, $7) as vals
  from fit f
  join spaces s on s.id = f.space
  join batches b on b.batch = f.batch
),
given as materialized (
  select t.space, coalesce(g.key, '') as key, g.value, t.revision, t.ends, g.version
  from taken t, unnest(t.keys, t.vals, $8::bigint[]) g (key, value, version)
),
held as materialized (
  select k.key, k.version
  from kv k
  where k.space = ($1::uuid[])[1]
    and k.key in (select key from given)
    and (k.expires_at is null or k.expires_at > now())
  for update
),
changed as materialized (
  select g.key from given g left join held h on h.key = g.key where h.version is distinct from g.version
),
written as (
  update kv k
  set value = g.value, version = g.revision, expires_at = g.ends
  from given g
  where k.space = g.space and k.key = g.key and not exists (select from changed)
),
receipted as (
  update receipts r
  set result = '{"ignored": []}'
  from fit f
  where r.id = f.receipt and not exists (select from changed)
)
select gone, repeated, '[]'::json as ignored, (select coalesce(json_agg(key), '[]') from changed) as changed
from judged
