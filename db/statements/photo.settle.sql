with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, ok boolean, problem text, format text, side int,
    variants int[], placeholder text, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
owners as materialized (
  select p.id, p.page_id, p.reply_to, p.state
  from posts p
  where p.id in (select f.post_id from photos f join turns t on t.id = f.id)
  order by p.id
  for update
),
settling as materialized (
  select t.*, f.post_id, f.staged_key
  from photos f
  join turns t on t.id = f.id
  where f.state = 'processing' and coalesce(f.post_id, f.user_id, f.page_id) in (select id from owners)
  order by f.id
  for update of f
),
unstaged as (
  insert into unowned_files (key, due_at)
  select staged_key, at
  from settling
  where (ok or post_id is null) and staged_key is not null
  on conflict (key) do update
  set due_at = excluded.due_at, taken = false
  returning 1
),
settled as (
  update photos f
  set state = case when s.ok then 'ready' else 'failed' end, problem = s.problem, format = s.format, side = s.side,
    variants = s.variants, placeholder = s.placeholder, staged_key = case when s.ok then null else f.staged_key end
  from settling s
  where f.id = s.id
  returning 1
),
complete as materialized (
  select o.*, (select max(s.at) from settling s where s.post_id = o.id) as at,
    coalesce(
      (
        select case
          when bool_or(s.state = 'failed') then 'failed'
          when bool_or(s.state = 'processing') then 'processing'
        end
        from (
          select coalesce(
            (select case when s.ok then 'ready' else 'failed' end from settling s where s.id = f.id), f.state
          ) as state
          from photos f
          where f.post_id = o.id
        ) s
      ),
      'ready'
    ) as next
  from owners o
  where o.id in (select post_id from settling)
),
coming as materialized (select * from complete where state <> 'ready' and next = 'ready'),
their_pages as materialized (
  select p.id from pages p where p.id in (select page_id from coming) order by p.id for no key update
),
their_originals as materialized (
  select p.id
  from posts p
  where p.id in (select reply_to from coming) and (select count(*) from their_pages) >= 0
  order by p.id
  for update
),
clock as materialized (
  select s.published_at
  from sequencer s
  where (select count(*) from coming where true) > 0 and (select count(*) from their_originals) >= 0
  for update
),
timed as materialized (
  select f.*,
    greatest(c.published_at + interval '1 microsecond', (select max(at) from coming where true)) + (
      row_number() over (order by id) - 1
    ) * interval '1 microsecond' as published_at
  from (select * from coming where true) f
  cross join clock c
),
restated as (
  update posts p
  set state = c.next, published_at = coalesce((select d.published_at from timed d where d.id = c.id), p.published_at)
  from complete c
  where p.id = c.id and (select count(*) from timed) >= 0
  returning p.id, p.page_id, p.reply_to, p.state, c.state as old_state, c.at
),
published as materialized (
  select r.*,
    (
      select count(*) from timed o where o.published_at <= (select d.published_at from timed d where d.id = r.id)
    ) as place
  from restated r
  where r.state = 'ready' and r.old_state <> 'ready'
),
counted as (
  update pages p
  set post_count = p.post_count + n.posts
  from (select page_id, count(*) as posts from published group by page_id order by page_id) n
  where p.id = n.page_id
  returning 1
),
originals as materialized (
  select p.id
  from posts p
  where p.id in (select reply_to from published) and p.id not in (select id from restated)
  order by p.id
  for update
),
answered as (
  update posts p
  set reply_count = p.reply_count + n.replies
  from (
    select v.reply_to, count(*) as replies, array_agg(distinct v.page_id) as via
    from published v
    join originals o on o.id = v.reply_to
    group by v.reply_to
  ) n
  where p.id = n.reply_to
  returning p.id, p.page_id, n.replies, n.via
),
answers as materialized (
  select t.turn, jsonb_build_object('found', exists (select from settling s where s.turn = t.turn)) as result
  from turns t
),
new_events as materialized (
  select *
  from (
    select 1 + place as rank, 'post.created' as kind, page_id as page_id, id as post_id, null::uuid as user_id,
      '{"counts": {"posts": 1}}'::jsonb as data, at as at
    from published
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
    from answered
  ) t
  where (select count(*) from unstaged) >= 0
    and (select count(*) from settled) >= 0
    and (select count(*) from restated) >= 0
    and (select count(*) from counted) >= 0
    and (select count(*) from answered) >= 0
),
event_count as materialized (select count(*) as n from new_events),
numbered as (
  update sequencer
  set seq = seq + (select n from event_count),
    published_at = greatest(published_at, (select max(published_at) from timed))
  where (select n from event_count) > 0
  returning seq
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
