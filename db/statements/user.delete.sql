with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, at timestamptz, by_id uuid, by_role text, reason text
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
admins as materialized (
  select u.id
  from users u
  where u.role = 'admin'
    and (u.blocked_until is null or u.blocked_until <= now())
    and exists (select from turns t join users x on x.id = t.id where x.role = 'admin')
  order by u.id
  for no key update
),
admin_removals as materialized (
  select t.turn, row_number() over (order by t.turn) as place from turns t join admins a on a.id = t.id where true
),
admin_checks as materialized (
  select t.*, coalesce(r.place >= (select count(*) from admins), false) as last_admin
  from turns t
  left join admin_removals r on r.turn = t.turn
),
deleted_users as materialized (
  select g.* from admin_checks g join users u on u.id = g.id where not g.last_admin order by g.id for update of u
),
account_summaries as materialized (
  select g.*, u.login,
    jsonb_build_object(
      'login', u.login, 'role', u.role, 'created_at', u.created_at, 'blocked',
      block_as_json(u.blocked_until, u.blocked_reason), 'pages',
      (select count(*) from pages p where p.owner_id = u.id and p.deleted_at is null), 'posts',
      (select count(*) from posts x join pages p on p.id = x.page_id where p.owner_id = u.id)
    ) as previous
  from deleted_users g
  join users u on u.id = g.id
),
affected_pages as materialized (
  select p.id
  from pages p
  where p.id in (
    select o.id
    from pages o
    join deleted_users g on g.id = o.owner_id
    union
    select f.page_id
    from follows f
    join deleted_users g on g.id = f.user_id
  )
  order by p.id
  for no key update
),
own_pages as materialized (
  select p.id, g.at from pages p join deleted_users g on p.owner_id = g.id where p.id in (select id from affected_pages)
),
removed_likes as materialized (
  select l.post_id, count(*) as n from likes l join deleted_users g on l.user_id = g.id group by l.post_id
),
locked_posts as materialized (
  select p.id
  from posts p
  where p.id in (
    select post_id
    from removed_likes
    union
    select r.reply_to
    from posts r
    join own_pages on own_pages.id = r.page_id
    where r.reply_to is not null
  )
  order by p.id
  for update
),
removed_replies as (
  select r.reply_to as post_id, count(*) as n, array_agg(distinct r.page_id) as via
  from posts r
  join own_pages on own_pages.id = r.page_id
  where r.reply_to is not null and r.state = 'ready'
  group by r.reply_to
),
recounted_posts as (
  update posts p
  set like_count = p.like_count - coalesce(u.n, 0), reply_count = p.reply_count - coalesce(a.n, 0)
  from locked_posts k
  left join removed_likes u on u.post_id = k.id
  left join removed_replies a on a.post_id = k.id
  where p.id = k.id and p.page_id not in (select id from own_pages)
  returning p.id, p.page_id, u.n, -a.n as replies, a.via
),
signals as (
  insert into like_signals (post_id, page_id, change)
  select id, page_id, -n
  from recounted_posts
  where n is not null
  on conflict (post_id) do update
  set changes = like_signals.changes + 1, change = like_signals.change + excluded.change
  returning 1
),
deleted_posts as (delete from posts p using own_pages where p.page_id = own_pages.id returning 1),
ended_follows as materialized (
  select f.page_id, f.user_id, f.state, g.at
  from follows f
  join deleted_users g on f.user_id = g.id
  join pages p on p.id = f.page_id
  where p.deleted_at is null and p.id not in (select id from own_pages)
),
left_page_counts as (
  update pages p
  set follower_count = p.follower_count - n.followers, request_count = p.request_count - n.requests
  from (
    select page_id, count(*) filter (where state = 'following') as followers,
      count(*) filter (where state = 'requested') as requests
    from ended_follows
    group by page_id
  ) n
  where p.id = n.page_id
  returning 1
),
tombstones as (
  update pages p
  set deleted_at = own_pages.at, avatar_key = null, owner_id = null, is_personal = false
  from own_pages
  where p.id = own_pages.id
  returning p.id
),
deleted_photos as (delete from photos f using tombstones b where f.page_id = b.id returning 1),
deleted_handles as (delete from handles h using deleted_users g where h.user_id = g.id returning 1),
deleted_jobs as (delete from jobs j using deleted_users g where j.user_id = g.id returning 1),
deleted_receipts as (delete from receipts r using deleted_users g where r.scope = g.id::text returning 1),
deleted_accounts as (delete from users u using deleted_users g where u.id = g.id returning 1),
answers as materialized (select turn, jsonb_build_object('last_admin', last_admin) as result from admin_checks),
entries as materialized (
  select *
  from (
    select turn as place, 'account.delete' as act, by_id, by_role, reason, 'account' as target_kind, id as target_id,
      login as target_name, previous as before, null::jsonb as after, at
    from account_summaries
    where by_id is not null
  ) n
  where (select count(*) from recounted_posts) >= 0
    and (select count(*) from signals) >= 0
    and (select count(*) from deleted_posts) >= 0
    and (select count(*) from left_page_counts) >= 0
    and (select count(*) from tombstones) >= 0
    and (select count(*) from deleted_photos) >= 0
    and (select count(*) from deleted_handles) >= 0
    and (select count(*) from deleted_jobs) >= 0
    and (select count(*) from deleted_receipts) >= 0
    and (select count(*) from deleted_accounts) >= 0
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
    select 1 as rank, 'page.hidden' as kind, id as page_id, null::uuid as post_id, null::uuid as user_id,
      '{"reason": "deleted"}'::jsonb as data, at as at
    from own_pages
    union all
    select 1 as rank, 'follow.changed' as kind, page_id as page_id, null::uuid as post_id, user_id as user_id,
      jsonb_build_object(
        'state', 'none', 'counts',
        jsonb_build_object(case state when 'following' then 'followers' else 'requests' end, -1)
      ) as data,
      at as at
    from ended_follows
    union all
    select 2 as rank, 'user.deleted' as kind, null::uuid as page_id, null::uuid as post_id, id as user_id,
      null::jsonb as data, at as at
    from deleted_users
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
    where replies is not null
  ) t
  where (select count(*) from recounted_posts) >= 0
    and (select count(*) from signals) >= 0
    and (select count(*) from deleted_posts) >= 0
    and (select count(*) from left_page_counts) >= 0
    and (select count(*) from tombstones) >= 0
    and (select count(*) from deleted_photos) >= 0
    and (select count(*) from deleted_handles) >= 0
    and (select count(*) from deleted_jobs) >= 0
    and (select count(*) from deleted_receipts) >= 0
    and (select count(*) from deleted_accounts) >= 0
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
