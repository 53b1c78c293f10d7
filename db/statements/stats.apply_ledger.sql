with old_position as materialized (
  select seq
  from stats.position
  -- Events that the ledger has deleted must not be skipped.
  where epoch = $1::uuid
    and seq = $2
    and exists (select from public.events where seq = $2 + 1)
  for update
),
batch as materialized (
  select e.*
  from old_position p
  cross join lateral (select seq, kind, page_id, data, at from public.events where seq > p.seq order by seq limit $3) e
),
deleted_pages as materialized (
  select distinct page_id from batch where kind = 'page.hidden' and data->>'reason' = 'deleted' and page_id is not null
),
changes as materialized (
  select b.page_id, (b.at at time zone 'UTC')::date as day,
    coalesce(sum((b.data->'counts'->>'posts')::int), 0) as posts,
    coalesce(sum((b.data->'counts'->>'followers')::int), 0) as followers,
    coalesce(sum((b.data->'counts'->>'requests')::int), 0) as requests,
    coalesce(sum((b.data->'counts'->>'likes')::int), 0) as likes,
    coalesce(sum((b.data->'counts'->>'replies')::int), 0) as replies
  from batch b
  where b.data ? 'counts' and b.page_id is not null and b.page_id not in (select page_id from deleted_pages)
  group by 1, 2
),
deleted_days as (delete from stats.days d using deleted_pages e where d.page_id = e.page_id),
saved_days as (
  insert into stats.days as d (page_id, day, posts, followers, requests, likes, replies)
  select page_id, day, posts, followers, requests, likes, replies
  from changes
  order by page_id, day
  on conflict (page_id, day) do update
  set posts = d.posts + excluded.posts, followers = d.followers + excluded.followers,
    requests = d.requests + excluded.requests, likes = d.likes + excluded.likes, replies = d.replies + excluded.replies
),
new_position as (update stats.position set seq = (select max(seq) from batch) where exists (select from batch))
select count(*)::int as seen, max(seq) as seq
from batch
