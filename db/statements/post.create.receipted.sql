with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, page_id uuid, author_id uuid, text text, tagged uuid[],
    place text, reply_to uuid, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
page_counts as (
  update pages p
  set post_count = p.post_count + n.posts
  from (select page_id, author_id, count(*) as posts from turns group by page_id, author_id order by page_id) n
  where p.id = n.page_id
    and p.owner_id = n.author_id
    and p.deleted_at is null
    and coalesce(greatest(p.blocked_until, p.owner_blocked_until), '-infinity') <= now()
  returning p.id, p.owner_id
),
candidates as materialized (
  select t.*, c.id is not null as open
  from turns t
  left join page_counts c on c.id = t.page_id and c.owner_id = t.author_id
),
valid_posts as materialized (select * from candidates where open),
clock as materialized (
  select s.published_at
  from sequencer s
  where (select count(*) from valid_posts where true) > 0 and (select count(*) from page_counts) >= 0
  for update
),
publications as materialized (
  select f.*,
    greatest(c.published_at + interval '1 microsecond', (select max(at) from valid_posts where true)) + (
      row_number() over (order by turn) - 1
    ) * interval '1 microsecond' as published_at
  from (select * from valid_posts where true) f
  cross join clock c
),
new_posts as (
  insert into posts (id, page_id, text, tagged, place, reply_to, published_at, created_at, updated_at)
  select id, page_id, text, tagged, place, reply_to, published_at, at, at
  from publications
  returning 1
),
answers as materialized (
  select j.turn,
    jsonb_build_object(
      'open', j.open, 'original', true, 'reply_page_id', null, 'published_at',
      to_char(t.published_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    ) as result
  from candidates j
  left join publications t on t.turn = j.turn
),
saved_receipts as (
  update receipts r
  set result = a.result
  from turns t
  join answers a on a.turn = t.turn
  where r.id = t.receipt and not (not (a.result->>'open')::boolean)
),
new_events as materialized (
  select *
  from (
    select turn as rank, 'post.created' as kind, page_id as page_id, id as post_id, null::uuid as user_id,
      '{"counts": {"posts": 1}}'::jsonb as data, at as at
    from valid_posts
  ) t
  where (select count(*) from page_counts) >= 0 and (select count(*) from new_posts) >= 0
),
event_count as materialized (select count(*) as n from new_events),
event_numbers as (
  update sequencer
  set seq = seq + (select n from event_count),
    published_at = greatest(published_at, (select max(published_at) from publications))
  where (select n from event_count) > 0
  returning seq
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
