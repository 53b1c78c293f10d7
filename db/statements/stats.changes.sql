select case when day < $2::date then 'before' when day > $3::date then 'after' else day::text end as part,
  sum(posts)::int as posts, sum(followers)::int as followers, sum(requests)::int as requests, sum(likes)::int as likes,
  sum(replies)::int as replies
from stats.days
where page_id = $1
group by 1
