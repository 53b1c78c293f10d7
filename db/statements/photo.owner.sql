select case when f.post_id is not null then 'post' when f.user_id is not null then 'user' else 'page' end as kind,
  coalesce(f.page_id, p.page_id) as page_id, f.user_id
from photos f
left join posts p on p.id = f.post_id
where f.id = $1
