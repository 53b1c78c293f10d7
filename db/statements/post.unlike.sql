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
deleted_likes as (
  delete from likes l using turns t
  join locked_posts k on k.id = t.post_id and k.page_id = t.page_id
  where l.post_id = t.post_id and l.user_id = t.user_id
  returning l.post_id, l.user_id
),
like_counts as (
  update posts p
  set like_count = p.like_count - n.likes
  from (select post_id, count(*) as likes from deleted_likes group by post_id) n
  where p.id = n.post_id
  returning p.id, p.page_id, p.like_count, '{}'::uuid[] as likers, -n.likes as change
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
    jsonb_build_object(
      'like_count',
      case
        when exists (select from visible_pages(t.user_id) v where v.id = k.page_id) then coalesce(
          c.like_count, k.like_count
        )
      end
    ) as result
  from turns t
  left join locked_posts k on k.id = t.post_id and k.page_id = t.page_id
  left join like_counts c on c.id = k.id
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'post.liked' as kind, k.page_id as page_id, l.post_id as post_id, l.user_id as user_id,
      '{"liked": false}'::jsonb as data, now() as at
    from deleted_likes l
    join locked_posts k on k.id = l.post_id
  ) t
  where (select count(*) from deleted_likes) >= 0
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
