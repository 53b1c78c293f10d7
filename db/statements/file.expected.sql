select f.key as photo,
  case
    when f.state = 'ready' then array[f.key] || array(select f.key || '.' || v from unnest(f.variants) v)
    else array_remove(array[f.staged_key], null)
  end as files
from photos f
where f.key > $1
order by f.key limit $2
