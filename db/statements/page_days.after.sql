select page_id, day::text as day, posts, followers, requests, likes, replies
from page_days
where $1::uuid is null or (page_id, day) > ($1::uuid, $2::date)
order by page_id, page_days.day
limit $3
