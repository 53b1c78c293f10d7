with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, page_id uuid, moderated boolean, at timestamptz,
    by_id uuid, by_role text, reason text
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
deleted_posts as (
  delete from posts p using turns t
  where p.id = t.id and p.page_id = t.page_id
  returning t.*, p.reply_to, p.state, p.text, p.photo_count, p.published_at, p.like_count, p.reply_count
),
page_counts as (
  update pages p
  set post_count = p.post_count - n.posts
  from (select page_id, count(*) as posts from deleted_posts where state = 'ready' group by page_id order by page_id) n
  where p.id = n.page_id
  returning 1
),
locked_posts as materialized (
  select p.id
  from posts p
  where p.id in (select reply_to from deleted_posts where state = 'ready')
  order by p.id
  for update
),
answered_posts as (
  update posts p
  set reply_count = p.reply_count - n.replies
  from (
    select r.reply_to, count(*) as replies, array_agg(distinct r.page_id) as via
    from deleted_posts r
    join locked_posts k on k.id = r.reply_to
    where r.state = 'ready'
    group by r.reply_to
  ) n
  where p.id = n.reply_to
  returning p.id, p.page_id, -n.replies as replies, n.via
),
deleted_signals as (
  delete from like_signals s using deleted_posts r where s.post_id = r.id returning s.post_id, s.change
),
answers as materialized (
  select t.turn, jsonb_build_object('found', exists (select from deleted_posts r where r.turn = t.turn)) as result
  from turns t
),
entries as materialized (
  select *
  from (
    select turn as place, 'post.delete' as act, by_id, by_role, reason, 'post' as target_kind, x.id as target_id,
      g.uuid || ': ' || left(x.text, 80) as target_name,
      jsonb_build_object(
        'page_id', x.page_id, 'owner_id', g.owner_id, 'text', x.text, 'photos', x.photo_count, 'published_at',
        x.published_at
      ) as before,
      null::jsonb as after, at
    from deleted_posts x
    join pages g on g.id = x.page_id
    where x.moderated
  ) n
  where (select count(*) from deleted_posts) >= 0
    and (select count(*) from page_counts) >= 0
    and (select count(*) from answered_posts) >= 0
    and (select count(*) from deleted_signals) >= 0
),
log_entries as (
  insert into moderation_log (
    at, act, actor_id, actor_login, actor_role, target_kind, target_id, target_name, reason, before, after
  )
  select n.at, n.act, n.by_id, (select u.login from users u where u.id = n.by_id), coalesce(n.by_role, 'system'),
    n.target_kind, n.target_id, n.target_name, n.reason, n.before, n.after
  from entries n
  order by n.place
  returning seq
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'post.deleted' as kind, r.page_id as page_id, r.id as post_id, null::uuid as user_id,
      jsonb_build_object(
        'counts',
        jsonb_build_object('posts', -1, 'replies', -r.reply_count, 'likes', coalesce(s.change, 0) - r.like_count)
      ) as data,
      at as at
    from deleted_posts r
    left join deleted_signals s on s.post_id = r.id
    where r.state = 'ready'
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
  ) t
  where (select count(*) from deleted_posts) >= 0
    and (select count(*) from page_counts) >= 0
    and (select count(*) from answered_posts) >= 0
    and (select count(*) from deleted_signals) >= 0
    and (select count(*) from log_entries) >= 0
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
