with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, page_id uuid, user_ids uuid[], accept boolean, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
strangers as materialized (
  select t.turn, array_agg(n.user_id) as ids
  from turns t
  cross join lateral unnest(t.user_ids) n (user_id)
  where not exists (
    select from follows f where f.page_id = t.page_id and f.user_id = n.user_id and f.state = 'requested'
  )
  group by t.turn
),
valid_turns as materialized (select t.* from turns t where not exists (select from strangers s where s.turn = t.turn)),
accepted_requests as (
  update follows f
  set state = 'following', created_at = t.at
  from valid_turns t
  where t.accept
    and f.page_id = t.page_id
    and f.state = 'requested'
    and (t.user_ids is null or f.user_id = any(t.user_ids))
  returning t.turn, f.page_id, f.user_id, t.at
),
rejected_requests as (
  delete from follows f using valid_turns t
  where not t.accept
    and f.page_id = t.page_id
    and f.state = 'requested'
    and (t.user_ids is null or f.user_id = any(t.user_ids))
  returning t.turn, f.page_id, f.user_id, t.at
),
answered_requests as materialized (
  select turn, page_id, user_id, at, 'following' as state
  from accepted_requests
  union all
  select turn, page_id, user_id, at, 'none'
  from rejected_requests
),
page_counts as (
  update pages p
  set follower_count = p.follower_count + n.accepted, request_count = p.request_count - n.answered
  from (
    select page_id, count(*) filter (where state = 'following') as accepted, count(*) as answered
    from answered_requests
    group by page_id
    order by page_id
  ) n
  where p.id = n.page_id
  returning 1
),
answers as materialized (
  select t.turn,
    jsonb_build_object(
      'strangers', coalesce((select to_jsonb(s.ids) from strangers s where s.turn = t.turn), '[]'), 'answered',
      (select count(*) from answered_requests a where a.turn = t.turn)
    ) as result
  from turns t
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'follow.changed' as kind, page_id as page_id, null::uuid as post_id, user_id as user_id,
      case
        when state = 'following' then '{"state": "following", "accepted": true, "counts": {"followers": 1, "requests": -1}}'::jsonb
        else '{"state": "none", "counts": {"requests": -1}}'::jsonb
      end as data,
      at as at
    from answered_requests
  ) t
  where (select count(*) from accepted_requests) >= 0
    and (select count(*) from rejected_requests) >= 0
    and (select count(*) from page_counts) >= 0
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
