update unowned_files u
set taken = true, due_at = now() + interval '1 minute'
from (select key from unowned_files where due_at <= now() order by due_at limit $1 for update skip locked) d
where u.key = d.key returning u.key
