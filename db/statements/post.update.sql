with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, page_id uuid, photos uuid[], text text, tagged uuid[],
    place text, clear_place boolean, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
targets as materialized (
  select p.id, p.page_id, p.reply_to, p.state, coalesce(t.text, p.text) as text, coalesce(t.tagged, p.tagged) as tagged,
    case when t.clear_place then null else coalesce(t.place, p.place) end as place, t.turn, t.photos, t.at,
    coalesce(cardinality(t.photos), p.photo_count) as photo_count
  from posts p
  join turns t on p.id = t.id and p.page_id = t.page_id
  order by p.id
  for update of p
),
candidates as materialized (
  select x.*,
    array(
      select k from unnest(x.photos) k where not exists (select from photos f where f.id = k and f.post_id = x.id)
    ) as unknown,
    x.photo_count = 0 and x.text = '' as empty
  from targets x
),
valid_posts as materialized (select * from candidates where unknown = '{}' and not empty),
deleted_photos as (
  delete from photos f using valid_posts v
  where f.post_id = v.id and v.photos is not null and f.id <> all (v.photos)
  returning 1
),
moved_photos as (
  update photos f
  set position = k.place - 1
  from valid_posts v
  cross join lateral unnest(v.photos) with ordinality k (id, place)
  where f.id = k.id and f.post_id = v.id
  returning 1
),
post_states as materialized (
  select v.*,
    coalesce(
      (
        select case
          when bool_or(s.state = 'failed') then 'failed'
          when bool_or(s.state = 'processing') then 'processing'
        end
        from (select f.state from photos f where f.post_id = v.id and (v.photos is null or f.id = any (v.photos))) s
      ),
      'ready'
    ) as next
  from valid_posts v
),
ready_posts as materialized (select * from post_states where state <> 'ready' and next = 'ready'),
locked_pages as materialized (
  select p.id from pages p where p.id in (select page_id from ready_posts) order by p.id for no key update
),
locked_originals as materialized (
  select p.id
  from posts p
  where p.id in (select reply_to from ready_posts) and (select count(*) from locked_pages) >= 0
  order by p.id
  for update
),
clock as materialized (
  select s.published_at
  from sequencer s
  where (select count(*) from ready_posts where true) > 0 and (select count(*) from locked_originals) >= 0
  for update
),
publications as materialized (
  select f.*,
    greatest(c.published_at + interval '1 microsecond', (select max(at) from ready_posts where true)) + (
      row_number() over (order by id) - 1
    ) * interval '1 microsecond' as published_at
  from (select * from ready_posts where true) f
  cross join clock c
),
reply_gains as materialized (
  select c.*,
    (select count(*) from post_states r where r.reply_to = c.id and r.state <> 'ready' and r.next = 'ready') as replies
  from post_states c
),
updated_posts as (
  update posts p
  set text = c.text, tagged = c.tagged, place = c.place, photo_count = c.photo_count, updated_at = c.at,
    published_at = coalesce((select d.published_at from publications d where d.id = c.id), p.published_at),
    state = c.next, reply_count = p.reply_count + c.replies
  from reply_gains c
  where p.id = c.id and (select count(*) from publications) >= 0
  returning p.id, p.page_id, p.reply_to, p.state, c.state as old_state, c.at, c.replies
),
published_posts as materialized (
  select r.*,
    (
      select count(*)
      from publications o
      where o.published_at <= (select d.published_at from publications d where d.id = r.id)
    ) as place
  from updated_posts r
  where r.state = 'ready' and r.old_state <> 'ready'
),
page_counts as (
  update pages p
  set post_count = p.post_count + n.posts
  from (select page_id, count(*) as posts from published_posts group by page_id order by page_id) n
  where p.id = n.page_id
  returning 1
),
counted_originals as materialized (
  select p.id
  from posts p
  where p.id in (select reply_to from published_posts) and p.id not in (select id from updated_posts)
  order by p.id
  for update
),
answered_posts as (
  update posts p
  set reply_count = p.reply_count + n.replies
  from (
    select v.reply_to, count(*) as replies, array_agg(distinct v.page_id) as via
    from published_posts v
    join counted_originals o on o.id = v.reply_to
    group by v.reply_to
  ) n
  where p.id = n.reply_to
  returning p.id, p.page_id, n.replies, n.via
),
answers as materialized (
  select t.turn,
    jsonb_build_object(
      'found', j.turn is not null, 'unknown', coalesce(j.unknown, '{}'), 'empty', coalesce(j.empty, false)
    ) as result
  from turns t
  left join candidates j on j.turn = t.turn
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'post.updated' as kind, page_id as page_id, id as post_id, null::uuid as user_id,
      null::jsonb as data, at as at
    from updated_posts
    where old_state = 'ready'
    union all
    select 1 + place as rank, 'post.created' as kind, page_id as page_id, id as post_id, null::uuid as user_id,
      '{"counts": {"posts": 1}}'::jsonb as data, at as at
    from published_posts
    union all
    select 1000000 as rank, 'replies.changed' as kind, page_id as page_id, id as post_id, null::uuid as user_id,
      jsonb_strip_nulls(
        jsonb_build_object(
          'counts', jsonb_build_object('replies', replies), 'withheld',
          case
            when not exists (
              select
              from pages g
              where g.id = any(via)
                and not g.is_private
                and coalesce(greatest(g.blocked_until, g.owner_blocked_until), '-infinity') <= now()
            ) then to_jsonb(via)
          end
        )
      ) as data,
      now() as at
    from answered_posts
    union all
    select 1000000 as rank, 'replies.changed' as kind, page_id as page_id, id as post_id, null::uuid as user_id,
      jsonb_strip_nulls(
        jsonb_build_object(
          'counts', jsonb_build_object('replies', replies), 'withheld',
          case
            when not exists (
              select
              from pages g
              where g.id = any(
                array(
                  select distinct r.page_id
                  from post_states r
                  where r.reply_to = updated_posts.id and r.state <> 'ready' and r.next = 'ready'
                )
              )
                and not g.is_private
                and coalesce(greatest(g.blocked_until, g.owner_blocked_until), '-infinity') <= now()
            ) then to_jsonb(
              array(
                select distinct r.page_id
                from post_states r
                where r.reply_to = updated_posts.id and r.state <> 'ready' and r.next = 'ready'
              )
            )
          end
        )
      ) as data,
      now() as at
    from updated_posts
    where replies > 0
  ) t
  where (select count(*) from deleted_photos) >= 0
    and (select count(*) from moved_photos) >= 0
    and (select count(*) from updated_posts) >= 0
    and (select count(*) from page_counts) >= 0
    and (select count(*) from answered_posts) >= 0
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
