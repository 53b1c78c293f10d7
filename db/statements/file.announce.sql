insert into unowned_files (key, due_at)
select k, now() + $2 * interval '1 millisecond'
from unnest($1::text[]) k
on conflict (key) do update
set due_at = excluded.due_at, taken = false
