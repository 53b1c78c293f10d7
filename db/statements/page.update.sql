with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, owner_id uuid, uuid text, old_uuid text, name text,
    description text, tags text[], is_private boolean, was_private boolean, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
own_handles as materialized (
  select o.handle, t.turn
  from old_handles o
  join turns t on o.page_id = t.id and o.handle = lower(t.uuid)
  for update of o
),
availability as materialized (
  select t.turn,
    lower(t.uuid) <> lower(t.old_uuid) and not exists (
      select from own_handles where own_handles.turn = t.turn
    ) and exists (
      select
      from handles h
      where h.handle = lower(t.uuid)
        and not (
          h.user_id = t.owner_id
          and exists (select from users l where lower(l.login) = lower(t.uuid))
          and not exists (select from pages o where lower(o.uuid) = lower(t.uuid) and o.deleted_at is null)
          and not exists (select from old_handles o where o.handle = h.handle)
        )
    ) as taken
  from turns t
),
valid_changes as materialized (
  select t.*, lower(t.uuid) <> lower(t.old_uuid) as renamed
  from turns t
  join availability k on k.turn = t.turn
  where not k.taken
),
new_handles as (
  insert into handles (handle, user_id)
  select lower(t.uuid), t.owner_id
  from valid_changes t
  where t.renamed
    and not exists (select from users l where lower(l.login) = lower(t.uuid))
    and not exists (select from own_handles where own_handles.turn = t.turn)
  returning 1
),
resumed_handles as (
  delete from old_handles o using own_handles
  join valid_changes t on t.turn = own_handles.turn
  where o.handle = own_handles.handle and t.renamed
  returning 1
),
kept_handles as (
  insert into old_handles (handle, page_id, expires_at)
  select h.handle, t.id, t.at + interval '30 days'
  from valid_changes t
  join handles h on h.handle = lower(t.old_uuid)
  where t.renamed
  on conflict (handle) do update
  set page_id = excluded.page_id, expires_at = excluded.expires_at
  returning 1
),
surplus_handles as materialized (
  select o.handle
  from valid_changes t
  cross join lateral (
    select o.handle
    from old_handles o
    where o.page_id = t.id and o.handle not in (lower(t.uuid), lower(t.old_uuid))
    order by o.expires_at desc, o.handle
    offset 4
  ) o
  where t.renamed
),
released_handles as (delete from old_handles o using surplus_handles s where o.handle = s.handle returning o.handle),
deleted_handles as (
  delete from handles h using released_handles k
  where h.handle = k.handle and not exists (select from users l where lower(l.login) = lower(h.handle))
  returning 1
),
accepted_requests as (
  update follows f
  set state = 'following', created_at = t.at
  from valid_changes t
  where t.was_private and not t.is_private and f.page_id = t.id and f.state = 'requested'
  returning f.page_id, f.user_id, t.at
),
changed_pages as (
  update pages p
  set uuid = t.uuid, name = t.name, description = t.description, tags = t.tags, is_private = t.is_private,
    follower_count = p.follower_count + (select count(*) from accepted_requests a where a.page_id = p.id),
    request_count = p.request_count - (select count(*) from accepted_requests a where a.page_id = p.id)
  from valid_changes t
  where p.id = t.id
  returning 1
),
answers as materialized (select turn, jsonb_build_object('taken', taken) as result from availability),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'follow.changed' as kind, page_id as page_id, null::uuid as post_id, user_id as user_id,
      '{"state": "following", "accepted": true, "counts": {"followers": 1, "requests": -1}}'::jsonb as data, at as at
    from accepted_requests
    union all
    select 2 as rank, 'page.updated' as kind, id as page_id, null::uuid as post_id, null::uuid as user_id,
      null::jsonb as data, at as at
    from valid_changes
    union all
    select 3 as rank, 'page.hidden' as kind, id as page_id, null::uuid as post_id, null::uuid as user_id,
      '{"reason": "private"}'::jsonb as data, at as at
    from valid_changes
    where is_private and not was_private
    union all
    select 3 as rank, 'page.shown' as kind, id as page_id, null::uuid as post_id, null::uuid as user_id,
      null::jsonb as data, at as at
    from valid_changes
    where was_private and not is_private
    union all
    select 1000000 as rank, 'replies.changed' as kind, o.page_id as page_id, o.id as post_id, null::uuid as user_id,
      null::jsonb as data, now() as at
    from (
      select distinct r.reply_to as id
      from posts r
      where r.reply_to is not null
        and r.state = 'ready'
        and r.page_id in (select id from valid_changes where was_private <> is_private)
    ) d
    join posts o on o.id = d.id
  ) t
  where (select count(*) from new_handles) >= 0
    and (select count(*) from resumed_handles) >= 0
    and (select count(*) from kept_handles) >= 0
    and (select count(*) from released_handles) >= 0
    and (select count(*) from deleted_handles) >= 0
    and (select count(*) from accepted_requests) >= 0
    and (select count(*) from changed_pages) >= 0
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
