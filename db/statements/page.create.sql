with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, owner_id uuid, uuid text, name text, description text,
    tags text[], is_private boolean, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
availability as materialized (
  select t.turn,
    exists (
      select
      from handles h
      where h.handle = lower(t.uuid)
        and not (
          h.user_id = t.owner_id
          and exists (select from users l where lower(l.login) = lower(t.uuid))
          and not exists (select from pages o where lower(o.uuid) = lower(t.uuid) and o.deleted_at is null)
          and not exists (select from old_handles o where o.handle = h.handle)
        )
    ) as taken,
    (
      select json_build_object(
        'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
        'avatar_key', u.avatar_key
      )
      from users u
      where u.id = t.owner_id
    ) as owner
  from turns t
),
valid_pages as materialized (
  select t.* from turns t join availability k on k.turn = t.turn where not k.taken and k.owner is not null
),
new_handles as (
  insert into handles (handle, user_id)
  select lower(t.uuid), t.owner_id
  from valid_pages t
  where not exists (select from users l where lower(l.login) = lower(t.uuid))
  returning 1
),
new_pages as (
  insert into pages (id, owner_id, uuid, name, description, tags, is_private, created_at)
  select id, owner_id, uuid, name, description, tags, is_private, at
  from valid_pages
  returning 1
),
answers as materialized (select turn, jsonb_build_object('taken', taken, 'owner', owner) as result from availability),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'follow.changed' as kind, id as page_id, null::uuid as post_id, owner_id as user_id,
      '{"state": "own"}'::jsonb as data, at as at
    from valid_pages
  ) t
  where (select count(*) from new_handles) >= 0 and (select count(*) from new_pages) >= 0
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
