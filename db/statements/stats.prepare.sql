insert into stats.building (build, page_id, day, posts, followers, requests, likes, replies)
select $1::uuid, page_id, day, posts, followers, requests, likes, replies
from jsonb_to_recordset($2::jsonb) as r(
  page_id uuid, day date, posts int, followers int, requests int, likes int, replies int
)
