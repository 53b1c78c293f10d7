select
  case
    when fits and longest <= $4 then pairs
    when fits then (
      select string_agg(to_json(k.key)::text || ':' || k.value, ',')
      from kv k
      where k.space = $1 and k.key = any($2::text[]) and (k.expires_at is null or k.expires_at > now())
    )
  end as pairs,
  case
    when fits and $5 then (
      select string_agg(to_json(k.key)::text || ':' || k.version, ',')
      from kv k
      where k.space = $1 and k.key = any($2::text[]) and (k.expires_at is null or k.expires_at > now())
    )
  end as versions,
  case
    when not fits then (
      select coalesce(json_agg(json_build_array(k.key, octet_length(k.value))), '[]')
      from kv k
      where k.space = $1 and k.key = any($2::text[]) and (k.expires_at is null or k.expires_at > now())
    )
  end as lengths,
  (select revision from kv_spaces where id = $1) as revision, expires_at
from (
  select count(*) = cardinality($2::text[]) and coalesce(sum(octet_length(k.value)), 0) <= $3 as fits,
    max(octet_length(k.value)) as longest, min(k.expires_at) as expires_at,
    string_agg(to_json(k.key)::text || ':' || case when octet_length(k.value) <= $4 then k.value end, ',') as pairs
  from kv k
  where k.space = $1 and k.key = any($2::text[]) and (k.expires_at is null or k.expires_at > now())
) found
