with consumer as materialized (select seq from consumers where name = 'notifications' for update skip locked),
batch as materialized (
  select e.* from consumer c cross join lateral (select * from events where seq > c.seq order by seq limit $1) e
),
-- Posts that were written or edited, if they still exist, with their pages.
written_posts as materialized (
  select e.kind, e.at, e.seq, p.id, p.page_id, p.reply_to, p.tagged, p.state, p.published_at, g.owner_id,
    g.follower_count, g.deleted_at
  from batch e
  join posts p on p.id = e.post_id
  join pages g on g.id = p.page_id
  where e.kind in ('post.created', 'post.updated')
),
acts as materialized (
  select a.*
  from (
    select g.owner_id as user_id, case e.data->>'state' when 'following' then 'follower' else 'request' end as kind,
      e.page_id, null::uuid as post_id, e.page_id as about, e.user_id as who, array[e.user_id] as actors, e.at, e.seq
    from batch e
    join pages g on g.id = e.page_id
    where e.kind = 'follow.changed' and e.data->>'state' in ('following', 'requested') and e.data->'accepted' is null
    union all
    select e.user_id, 'accepted', e.page_id, null, e.page_id, g.owner_id, array[g.owner_id], e.at, e.seq
    from batch e
    join pages g on g.id = e.page_id
    where e.kind = 'follow.changed' and (e.data->'accepted')::boolean
    union all
    select g.owner_id, 'like', e.page_id, e.post_id, e.post_id, e.post_id, l.likers, e.at, e.seq
    from batch e
    join pages g on g.id = e.page_id
    cross join lateral (
      select array_agg(l.id::uuid order by l.place) as likers
      from jsonb_array_elements_text(e.data->'likers') with ordinality l (id, place)
      -- Likes that were removed meanwhile are not notified.
      where l.id::uuid <> g.owner_id
        and exists (select from likes k where k.post_id = e.post_id and k.user_id = l.id::uuid)
    ) l
    where e.kind = 'post.likes' and e.data ? 'likers'
    union all
    select o.owner_id, 'reply', c.page_id, c.id, c.id, c.id, array[c.owner_id], c.at, c.seq
    from written_posts c
    join posts original on original.id = c.reply_to
    join pages o on o.id = original.page_id
    where c.kind = 'post.created' and c.reply_to is not null
    union all
    select t.id, 'tag', c.page_id, c.id, c.id, c.id, array[c.owner_id], c.at, c.seq
    from written_posts c
    cross join lateral unnest(c.tagged) t (id)
    -- The author of the original gets the notification of the reply instead.
    where not exists (
      select
      from posts original
      join pages o on o.id = original.page_id
      where original.id = c.reply_to and o.owner_id = t.id
    )
  ) a
  where a.user_id is not null
    and a.actors is not null
    and a.user_id <> all (a.actors)
    and not exists (select from notification_settings s where s.user_id = a.user_id and a.kind = any (s.muted))
),
-- One notification of each, with the people who did it, latest first.
candidates as materialized (
  select distinct on (user_id, kind, about, who) user_id, kind, page_id, post_id, about, who, at,
    (
      select array_agg(n.id order by n.seq desc, n.place)
      from (
        select distinct on (x.id) x.id, b.seq, x.place
        from acts b
        cross join lateral unnest(b.actors) with ordinality x (id, place)
        where (b.user_id, b.kind, b.about, b.who) = (a.user_id, a.kind, a.about, a.who)
        order by x.id, b.seq desc, x.place
      ) n
    ) as actors
  from acts a
  order by user_id, kind, about, who, seq desc
),
-- Locked before the sequencer, as in deletions of accounts. The foreign keys would be checked after it.
recipients as materialized (
  select u.id from users u where u.id in (select user_id from candidates) order by u.id for key share
),
existing_notifications as materialized (
  select n.*
  from notifications n
  join candidates w on (n.user_id, n.kind, n.about, n.who) = (w.user_id, w.kind, w.about, w.who)
  order by n.user_id, n.kind, n.about, n.who
  for update of n
),
news as materialized (
  select coalesce(b.id, gen_random_uuid()) as id, w.user_id, w.kind, w.page_id, w.post_id, w.about, w.who, w.at,
    (
      w.actors || array(
        select k.id from unnest(b.actors) with ordinality k (id, place) where k.id <> all (w.actors) order by k.place
      )
    ) [1:3] as actors
  from candidates w
  join recipients p on p.id = w.user_id
  left join existing_notifications b on (b.user_id, b.kind, b.about, b.who) = (w.user_id, w.kind, w.about, w.who)
  where b.id is null
    -- A like that was removed and given again is not notified.
    or w.kind = 'like'
      and not b.actors @> w.actors
    or w.kind in ('follower', 'request', 'accepted') and b.at < w.at - interval '1 day'
),
-- If something unread is affected, a frame brings the count, which is computed when the frame is made.
recounted_users as materialized (
  select t.user_id
  from (
    select n.user_id, n.position
    from batch e
    join notifications n on n.about = e.page_id and n.who = e.user_id
    where e.kind = 'follow.changed'
    union all
    select n.user_id, n.position
    from batch e
    join notifications n on n.page_id = e.page_id and n.user_id = e.user_id
    where e.kind = 'follow.changed'
    union all
    select n.user_id, n.position
    from batch e
    join notifications n on n.about = e.post_id
    where e.kind in ('post.deleted', 'post.updated')
      or e.kind = 'post.likes' and coalesce((e.data->'counts'->>'likes')::int, 0) <= 0
    union all
    select n.user_id, n.position
    from batch e
    join posts p on p.reply_to = e.post_id
    join notifications n on n.about = p.id
    where e.kind = 'post.deleted'
  ) t
  left join notification_settings s on s.user_id = t.user_id
  where t.position > coalesce(s.read_position, 0)
  group by t.user_id
),
new_position as (
  update consumers
  set seq = (select max(seq) from batch)
  where name = 'notifications' and exists (select from batch)
  returning 1
),
published_posts as materialized (
  select id, page_id, published_at, follower_count
  from written_posts
  where kind = 'post.created' and state = 'ready' and deleted_at is null
),
step as materialized (
  select p.id as event_id, p.published_at, f.user_id, f.created_at
  from published_posts p
  join follows f on f.page_id = p.page_id and f.state = 'following'
  where p.follower_count between 1 and 20
),
ledger as (
  insert into deliveries (event_id, user_id, state, digest_id)
  select s.event_id, s.user_id, case when n.letters = 'daily' then 'digest' else 'due' end,
    case when n.letters = 'daily' then md5(s.user_id::text || $2::text)::uuid end
  from step s
  join users u on u.id = s.user_id
  left join notification_settings n on n.user_id = s.user_id
  where s.created_at <= s.published_at
    and coalesce(n.letters, 'at_once') <> 'never'
    and u.email_verified_at is not null
    and (u.blocked_until is null or u.blocked_until <= now())
    and not exists (select from bounces b where b.email = lower(u.email) and b.until > now())
  on conflict do nothing
  returning event_id, user_id, state
),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select gen_random_uuid(), 'post.letter', jsonb_build_object('post_id', event_id, 'user_id', user_id), now(), user_id
  from ledger
  where state = 'due'
  returning id
),
digests as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select distinct md5(d.user_id::text || $2::text)::uuid, 'post.digest', jsonb_build_object('user_id', d.user_id),
    $2::timestamptz, d.user_id
  from (select * from ledger where state = 'digest') d
  on conflict (id) do nothing
  returning 1
),
expansion_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select gen_random_uuid(), 'post.letters', jsonb_build_object('post_id', id, 'page_id', page_id), now()
  from published_posts
  where follower_count > 20
  returning id
),
turned_pages as materialized (
  select distinct page_id from batch where kind in ('page.hidden', 'page.shown') and user_id is null
),
recount_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select gen_random_uuid(), 'notification.recount', jsonb_build_object('page_id', g.id), now()
  from turned_pages e
  join pages g on g.id = e.page_id
  where exists (select from notifications n where n.page_id = g.id)
    or exists (
      select from notifications n where g.is_personal and n.who = g.owner_id and n.kind in ('follower', 'request')
    )
    or exists (
      select
      from likes l
      join notifications n on n.about = l.post_id and n.who = l.post_id
      where g.is_personal and l.user_id = g.owner_id
    )
  returning id
),
new_events as materialized (
  select *
  from (
    select row_number() over (order by at) as rank, 'notification' as kind, null::uuid as page_id,
      null::uuid as post_id, user_id as user_id, jsonb_build_object('id', id) as data, at as at
    from news
    union all
    select 1000000 as rank, 'notifications.read' as kind, null::uuid as page_id, null::uuid as post_id,
      user_id as user_id, null::jsonb as data, now() as at
    from recounted_users
  ) t
  where (select count(*) from new_position) >= 0
    and (select count(*) from ledger) >= 0
    and (select count(*) from queued_emails) >= 0
    and (select count(*) from digests) >= 0
    and (select count(*) from expansion_jobs) >= 0
    and (select count(*) from recount_jobs) >= 0
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
),
saved_notifications as (
  insert into notifications (id, user_id, kind, page_id, post_id, about, who, actors, at, position)
  select n.id, n.user_id, n.kind, n.page_id, n.post_id, n.about, n.who, n.actors, n.at, e.seq
  from news n
  join saved_events e on e.kind = 'notification' and (e.data->>'id')::uuid = n.id
  on conflict (user_id, kind, about, who) do update
  set actors = excluded.actors, at = excluded.at, position = excluded.position
)
select (select count(*) from batch) as seen, (select json_agg(e order by e.seq) from saved_events e) as events,
  array(select id::text from expansion_jobs) as expanding, array(select id::text from recount_jobs) as recounting,
  array(select id::text from queued_emails) as queued
