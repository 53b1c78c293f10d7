with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, at timestamptz, by_id uuid, by_role text, reason text
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
previous as materialized (
  select t.*, u.login, u.blocked_until, u.blocked_reason
  from turns t
  join users u on u.id = t.id
  where u.blocked_until is not null
  order by u.id
  for no key update of u
),
unblocked_users as (
  update users u
  set blocked_at = null, blocked_until = null, blocked_reason = null
  from previous w
  where u.id = w.id
  returning 1
),
shown_pages as (
  update pages p
  set owner_blocked_until = null
  from turns t
  where p.owner_id = t.id and p.owner_blocked_until is not null and p.deleted_at is null
  returning p.id, t.at, p.blocked_until
),
deleted_jobs as (delete from jobs j using turns t where j.user_id = t.id and j.kind = 'user.block_lapsed' returning 1),
answers as materialized (select turn, '{}'::jsonb as result from turns),
entries as materialized (
  select *
  from (
    select turn as place, 'account.unblock' as act, by_id, by_role, reason, 'account' as target_kind, id as target_id,
      login as target_name, jsonb_build_object('blocked', block_as_json(blocked_until, blocked_reason)) as before,
      '{"blocked": null}'::jsonb as after, at
    from previous
  ) n
  where (select count(*) from unblocked_users) >= 0
    and (select count(*) from shown_pages) >= 0
    and (select count(*) from deleted_jobs) >= 0
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
    select 1 as rank, 'page.shown' as kind, id as page_id, null::uuid as post_id, null::uuid as user_id,
      null::jsonb as data, at as at
    from shown_pages
    where blocked_until is null or blocked_until <= now()
    union all
    select 1000000 as rank, 'replies.changed' as kind, o.page_id as page_id, o.id as post_id, null::uuid as user_id,
      null::jsonb as data, now() as at
    from (
      select distinct r.reply_to as id
      from posts r
      where r.reply_to is not null
        and r.state = 'ready'
        and r.page_id in (select id from shown_pages where blocked_until is null or blocked_until <= now())
    ) d
    join posts o on o.id = d.id
    union all
    select 1 as rank, 'account.changed' as kind, null::uuid as page_id, null::uuid as post_id, id as user_id,
      null::jsonb as data, at as at
    from previous
  ) t
  where (select count(*) from unblocked_users) >= 0
    and (select count(*) from shown_pages) >= 0
    and (select count(*) from deleted_jobs) >= 0
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
