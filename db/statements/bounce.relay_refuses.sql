select count(distinct user_id) filter (where state = 'failed')::int as refused,
  count(*) filter (where state = 'sent')::int as taken
from deliveries
where at > now() - $1 * interval '1 millisecond'
