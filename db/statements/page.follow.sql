with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, page_id uuid, user_id uuid, state text, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
previous as materialized (
  select t.turn, f.state from turns t join follows f on f.page_id = t.page_id and f.user_id = t.user_id
),
locked_users as materialized (
  select u.id from users u where u.id in (select user_id from turns) order by u.id for key share
),
new_follows as (
  insert into follows (page_id, user_id, state, created_at)
  select page_id, user_id, state, at
  from turns
  where user_id in (select id from locked_users)
  on conflict do nothing
  returning page_id, user_id, state, created_at
),
page_counts as (
  update pages p
  set follower_count = p.follower_count + f.followers, request_count = p.request_count + f.requests
  from (
    select page_id, count(*) filter (where state = 'following') as followers,
      count(*) filter (where state = 'requested') as requests
    from new_follows
    group by page_id
    order by page_id
  ) f
  where p.id = f.page_id
  returning 1
),
answers as materialized (
  select t.turn, jsonb_build_object('state', coalesce(h.state, t.state)) as result
  from turns t
  left join previous h on h.turn = t.turn
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'follow.changed' as kind, page_id as page_id, null::uuid as post_id, user_id as user_id,
      jsonb_build_object(
        'state', state, 'counts',
        jsonb_build_object(case state when 'following' then 'followers' else 'requests' end, 1)
      ) as data,
      created_at as at
    from new_follows
  ) t
  where (select count(*) from new_follows) >= 0 and (select count(*) from page_counts) >= 0
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
