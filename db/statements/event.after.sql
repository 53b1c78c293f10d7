select e.seq, e.kind, e.page_id, e.post_id, e.user_id, e.data, e.at
from events e
where e.seq > $1
order by e.seq
limit $2
