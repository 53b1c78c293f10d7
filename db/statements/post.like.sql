with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, post_id uuid, page_id uuid, user_id uuid, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
locked_posts as materialized (
  select p.id, p.page_id, p.like_count
  from posts p
  where p.id in (select post_id from turns) and p.state = 'ready'
  order by p.id
  for update
),
visible_likes as materialized (
  select t.*, k.like_count
  from turns t
  join locked_posts k on k.id = t.post_id and k.page_id = t.page_id
  where exists (select from visible_pages(t.user_id) v where v.id = t.page_id)
),
new_likes as (
  insert into likes (post_id, user_id, created_at)
  select post_id, user_id, at
  from visible_likes
  on conflict do nothing
  returning post_id, user_id
),
like_counts as (
  update posts p
  set like_count = p.like_count + n.likes
  from (select post_id, count(*) as likes, (array_agg(user_id))[1:4] as likers from new_likes group by post_id) n
  where p.id = n.post_id
  returning p.id, p.page_id, p.like_count, n.likers, n.likes as change
),
saved_signals as (
  insert into like_signals (post_id, page_id, likers, change)
  select id, page_id, likers, change
  from like_counts
  on conflict (post_id) do update
  set changes = like_signals.changes + 1, change = like_signals.change + excluded.change,
    likers = (excluded.likers || like_signals.likers)[1:4]
  returning 1
),
answers as materialized (
  select t.turn,
    case
      when s.turn is not null then jsonb_build_object('like_count', coalesce(c.like_count, s.like_count))
    end as result
  from turns t
  left join visible_likes s on s.turn = t.turn
  left join like_counts c on c.id = s.post_id
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'post.liked' as kind, k.page_id as page_id, l.post_id as post_id, l.user_id as user_id,
      '{"liked": true}'::jsonb as data, now() as at
    from new_likes l
    join locked_posts k on k.id = l.post_id
  ) t
  where (select count(*) from new_likes) >= 0
    and (select count(*) from like_counts) >= 0
    and (select count(*) from saved_signals) >= 0
),
event_count as materialized (select count(*) as n from new_events),
event_numbers as (
  update sequencer set seq = seq + (select n from event_count) where (select n from event_count) > 0 returning seq
),
saved_events as (
  insert into events (seq, kind, page_id, post_id, user_id, data, at)
  select (select seq from event_numbers) - (select n from event_count) + row_number() over (order by rank), kind,
    page_id, post_id, user_id, data, at
  from new_events
  where (select seq from event_numbers) is not null
  returning seq, kind, page_id, post_id, user_id, data, at
)
select a.turn, a.result, (select seq from event_numbers) as seq,
  case when row_number() over () = 1 then (select json_agg(e order by e.seq) from saved_events e)::text end as events
from answers a
