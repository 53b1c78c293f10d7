select id, kind, state, attempts, run_at, last_error, user_id, payload ->> 'post_id' as post_id, created_at
from jobs
where ($1::text is null or state = $1)
  and ($2::text is null or kind = $2)
  and ($3::timestamptz is null or (created_at, id) < ($3::timestamptz, $4::uuid))
order by created_at desc, id desc
limit $5
