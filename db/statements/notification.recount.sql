with job as materialized (
  select id, payload from jobs where id = $1 and kind = $2 and attempts = $3 and state = 'running' for update
),
page as materialized (
  select g.id, g.owner_id, g.is_personal,
    coalesce(j.payload->>'after', '00000000-0000-0000-0000-000000000000')::uuid as after
  from job j
  join pages g on g.id = (j.payload->>'page_id')::uuid
),
step as materialized (
  select g.id, g.owner_id, g.is_personal, s.user_id
  from page g
  cross join lateral (
    select user_id
    from (
      (
        select distinct n.user_id
        from notifications n
        where n.page_id = g.id and n.user_id > g.after
        order by n.user_id
        limit $4
      )
      union (
        select distinct n.user_id
        from notifications n
        where g.is_personal and n.who = g.owner_id and n.kind in ('follower', 'request') and n.user_id > g.after
        order by n.user_id
        limit $4
      )
      union (
        select distinct n.user_id
        from likes l
        join notifications n on n.about = l.post_id and n.who = l.post_id
        where g.is_personal and l.user_id = g.owner_id and n.user_id > g.after
        order by n.user_id
        limit $4
      )
    ) x
    order by user_id
    limit $4
  ) s
),
-- If something unread is affected, a frame brings the count, which is computed when the frame is made.
recounted_users as materialized (
  select g.user_id
  from step g
  left join notification_settings t on t.user_id = g.user_id
  where exists (
    select
    from notifications n
    where n.page_id = g.id and n.user_id = g.user_id and n.position > coalesce(t.read_position, 0)
  )
    or exists (
      select
      from notifications n
      where g.is_personal
        and n.who = g.owner_id
        and n.kind in ('follower', 'request')
        and n.user_id = g.user_id
        and n.position > coalesce(t.read_position, 0)
    )
    or exists (
      select
      from likes l
      join notifications n on n.about = l.post_id and n.who = l.post_id
      where g.is_personal
        and l.user_id = g.owner_id
        and n.user_id = g.user_id
        and n.position > coalesce(t.read_position, 0)
    )
),
new_position as (
  update jobs
  set payload = payload || jsonb_build_object('after', (select user_id from step order by user_id desc limit 1))
  where id in (select id from job) and exists (select from step)
  returning 1
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'notifications.read' as kind, null::uuid as page_id, null::uuid as post_id, user_id as user_id,
      null::jsonb as data, now() as at
    from recounted_users
  ) t
  where (select count(*) from new_position) >= 0
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
select (select count(*) from step) as seen, (select json_agg(e order by e.seq) from saved_events e) as events
