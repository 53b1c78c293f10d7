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
removing as materialized (
  select t.turn, row_number() over (order by t.turn) as place from turns t join admins a on a.id = t.id where true
),
guarded as materialized (
  select t.*, coalesce(r.place >= (select count(*) from admins), false) as last_admin
  from turns t
  left join removing r on r.turn = t.turn
),
gone as materialized (
  select g.* from guarded g join users u on u.id = g.id where not g.last_admin order by g.id for update of u
),
listed as materialized (
  select g.*, u.login,
    jsonb_build_object(
      'login', u.login, 'role', u.role, 'created_at', u.created_at, 'blocked',
      block_as_json(u.blocked_until, u.blocked_reason), 'pages',
      (select count(*) from pages p where p.owner_id = u.id and p.deleted_at is null), 'posts',
      (select count(*) from posts x join pages p on p.id = x.page_id where p.owner_id = u.id)
    ) as was
  from gone g
  join users u on u.id = g.id
),
touched as materialized (
  select p.id
  from pages p
  where p.id in (
    select o.id
    from pages o
    join gone g on g.id = o.owner_id
    union
    select f.page_id
    from follows f
    join gone g on g.id = f.user_id
  )
  order by p.id
  for no key update
),
own as materialized (
  select p.id, g.at from pages p join gone g on p.owner_id = g.id where p.id in (select id from touched)
),
unliked as materialized (
  select l.post_id, count(*) as n from likes l join gone g on l.user_id = g.id group by l.post_id
),
locked as materialized (
  select p.id
  from posts p
  where p.id in (
    select post_id
    from unliked
    union
    select r.reply_to
    from posts r
    join own on own.id = r.page_id
    where r.reply_to is not null
  )
  order by p.id
  for update
),
answered as (
  select r.reply_to as post_id, count(*) as n, array_agg(distinct r.page_id) as via
  from posts r
  join own on own.id = r.page_id
  where r.reply_to is not null and r.state = 'ready'
  group by r.reply_to
),
recounted as (
  update posts p
  set like_count = p.like_count - coalesce(u.n, 0), reply_count = p.reply_count - coalesce(a.n, 0)
  from locked k
  left join unliked u on u.post_id = k.id
  left join answered a on a.post_id = k.id
  where p.id = k.id and p.page_id not in (select id from own)
  returning p.id, p.page_id, u.n, -a.n as replies, a.via
),
signalled as (
  insert into like_signals (post_id, page_id, change)
  select id, page_id, -n
  from recounted
  where n is not null
  on conflict (post_id) do update
  set changes = like_signals.changes + 1, change = like_signals.change + excluded.change
  returning 1
),
emptied as (delete from posts p using own where p.page_id = own.id returning 1),
leaving as materialized (
  select f.page_id, f.user_id, f.state, g.at
  from follows f
  join gone g on f.user_id = g.id
  join pages p on p.id = f.page_id
  where p.deleted_at is null and p.id not in (select id from own)
),
left_pages as (
  update pages p
  set follower_count = p.follower_count - n.followers, request_count = p.request_count - n.requests
  from (
    select page_id, count(*) filter (where state = 'following') as followers,
      count(*) filter (where state = 'requested') as requests
    from leaving
    group by page_id
  ) n
  where p.id = n.page_id
  returning 1
),
buried as (
  update pages p
  set deleted_at = own.at, avatar_key = null, owner_id = null, is_personal = false
  from own
  where p.id = own.id
  returning p.id
),
unpictured as (delete from photos f using buried b where f.page_id = b.id returning 1),
freed as (delete from handles h using gone g where h.user_id = g.id returning 1),
unscheduled as (delete from jobs j using gone g where j.user_id = g.id returning 1),
forgotten as (delete from receipts r using gone g where r.scope = g.id::text returning 1),
removed as (delete from users u using gone g where u.id = g.id returning 1),
answers as materialized (select turn, jsonb_build_object('last_admin', last_admin) as result from guarded),
noted as materialized (
  select *
  from (
    select turn as place, 'account.delete' as act, by_id, by_role, reason, 'account' as target_kind, id as target_id,
      login as target_name, was as before, null::jsonb as after, at
    from listed
    where by_id is not null
  ) n
  where (select count(*) from recounted) >= 0
    and (select count(*) from signalled) >= 0
    and (select count(*) from emptied) >= 0
    and (select count(*) from left_pages) >= 0
    and (select count(*) from buried) >= 0
    and (select count(*) from unpictured) >= 0
    and (select count(*) from freed) >= 0
    and (select count(*) from unscheduled) >= 0
    and (select count(*) from forgotten) >= 0
    and (select count(*) from removed) >= 0
),
recorded as (
  insert into moderation_log (
    at, act, actor_id, actor_login, actor_role, target_kind, target_id, target_name, reason, before, after
  )
  select n.at, n.act, n.by_id, (select u.login from users u where u.id = n.by_id), coalesce(n.by_role, 'system'),
    n.target_kind, n.target_id, n.target_name, n.reason, n.before, n.after
  from noted n
  order by n.place
  returning seq
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'page.hidden' as kind, id as page_id, null::uuid as post_id, null::uuid as user_id,
      '{"reason": "deleted"}'::jsonb as data, at as at
    from own
    union all
    select 1 as rank, 'follow.changed' as kind, page_id as page_id, null::uuid as post_id, user_id as user_id,
      jsonb_build_object(
        'state', 'none', 'counts',
        jsonb_build_object(case state when 'following' then 'followers' else 'requests' end, -1)
      ) as data,
      at as at
    from leaving
    union all
    select 2 as rank, 'user.deleted' as kind, null::uuid as page_id, null::uuid as post_id, id as user_id,
      null::jsonb as data, at as at
    from gone
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
    from recounted
    where replies is not null
  ) t
  where (select count(*) from recounted) >= 0
    and (select count(*) from signalled) >= 0
    and (select count(*) from emptied) >= 0
    and (select count(*) from left_pages) >= 0
    and (select count(*) from buried) >= 0
    and (select count(*) from unpictured) >= 0
    and (select count(*) from freed) >= 0
    and (select count(*) from unscheduled) >= 0
    and (select count(*) from forgotten) >= 0
    and (select count(*) from removed) >= 0
    and (select count(*) from recorded) >= 0
),
event_count as materialized (select count(*) as n from new_events),
numbered as (
  update sequencer set seq = seq + (select n from event_count) where (select n from event_count) > 0 returning seq
),
emitted as (
  insert into events (seq, kind, page_id, post_id, user_id, data, at)
  select (select seq from numbered) - (select n from event_count) + row_number() over (order by rank), kind, page_id,
    post_id, user_id, data, at
  from new_events
  where (select seq from numbered) is not null
  returning seq, kind, page_id, post_id, user_id, data, at
)
select a.turn, a.result, (select seq from numbered) as seq,
  case when row_number() over () = 1 then (select json_agg(e order by e.seq) from emitted e)::text end as events
from answers a
