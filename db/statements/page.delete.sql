with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(turn int, part int, epoch bigint, receipt uuid, id uuid, at timestamptz)
  join fence f on f.id = i.part and f.epoch = i.epoch
),
answered_posts as materialized (
  select r.reply_to as post_id, count(*) as n, array_agg(distinct r.page_id) as via
  from posts r
  join turns t on r.page_id = t.id
  where r.reply_to is not null and r.state = 'ready'
  group by r.reply_to
),
locked_posts as materialized (
  select p.id from posts p where p.id in (select post_id from answered_posts) order by p.id for update
),
recounted_posts as (
  update posts p
  set reply_count = p.reply_count - a.n
  from answered_posts a
  join locked_posts k on k.id = a.post_id
  where p.id = a.post_id and p.page_id not in (select id from turns)
  returning p.id, p.page_id, -a.n as replies, a.via
),
deleted_posts as (delete from posts p using turns t where p.page_id = t.id returning 1),
tombstones as (
  update pages p set deleted_at = t.at, avatar_key = null from turns t where p.id = t.id returning p.id, p.uuid
),
deleted_photos as (delete from photos f using tombstones b where f.page_id = b.id returning 1),
released_handles as (delete from old_handles o using tombstones b where o.page_id = b.id returning o.handle),
deleted_handles as (
  delete from handles h
  where not exists (select from users l where lower(l.login) = lower(h.handle))
    and h.handle in (select lower(uuid) from tombstones union select handle from released_handles)
  returning 1
),
answers as materialized (select turn, '{}'::jsonb as result from turns),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'page.hidden' as kind, id as page_id, null::uuid as post_id, null::uuid as user_id,
      '{"reason": "deleted"}'::jsonb as data, at as at
    from turns
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
    from recounted_posts
  ) t
  where (select count(*) from recounted_posts) >= 0
    and (select count(*) from deleted_posts) >= 0
    and (select count(*) from tombstones) >= 0
    and (select count(*) from deleted_photos) >= 0
    and (select count(*) from released_handles) >= 0
    and (select count(*) from deleted_handles) >= 0
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
