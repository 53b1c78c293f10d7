select *
from (
  select k.key, k.version, octet_length(k.value) as bytes, k.expires_at
  from kv k
  where k.space = $1
    and k.key >= $2
    and ($3::text is null or k.key > $3)
    and (k.expires_at is null or k.expires_at > now())
  order by k.key limit $4
) next
where starts_with(key, $2)
order by key
