with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, owner uuid, id uuid, ok boolean, problem text, format text,
    side int, variants int[], placeholder text, at timestamptz
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
owners as materialized (select o.id from pages o where o.id in (select owner from turns) order by o.id for update),
crop_results as materialized (
  select t.*, f.post_id, f.staged_key
  from photos f
  join turns t on t.id = f.id
  where f.state = 'processing' and coalesce(f.post_id, f.user_id, f.page_id) in (select id from owners)
  order by f.id
  for update of f
),
released_files as (
  insert into unowned_files (key, due_at)
  select staged_key, at
  from crop_results
  where (ok or post_id is null) and staged_key is not null
  on conflict (key) do update
  set due_at = excluded.due_at, taken = false
  returning 1
),
latest_results as materialized (
  select s.*
  from crop_results s
  where s.ok and not exists (select from photos g where g.page_id = s.owner and g.id > s.id and g.state = 'ready')
),
deleted_photos as (
  delete from photos f using crop_results s
  where s.ok
    and f.page_id = s.owner
    and case
      when s.id in (select id from latest_results) then f.id < s.id and f.state <> 'processing'
      else f.id = s.id
    end
  returning 1
),
failed_photos as (
  update photos f
  set state = 'failed', problem = s.problem, staged_key = null
  from crop_results s
  where f.id = s.id and not s.ok
  returning 1
),
finished_photos as (
  update photos f
  set state = 'ready', format = s.format, side = s.side, variants = s.variants, placeholder = s.placeholder,
    staged_key = null
  from latest_results s
  where f.id = s.id
  returning f.page_id as id, f.key, s.at
),
shown_avatars as (update pages o set avatar_key = s.key from finished_photos s where o.id = s.id returning 1),
answers as materialized (
  select t.turn, jsonb_build_object('key', (select s.key from finished_photos s where s.id = t.owner)) as result
  from turns t
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'page.updated' as kind, id as page_id, null::uuid as post_id, null::uuid as user_id,
      null::jsonb as data, at as at
    from finished_photos
  ) t
  where (select count(*) from released_files) >= 0
    and (select count(*) from deleted_photos) >= 0
    and (select count(*) from failed_photos) >= 0
    and (select count(*) from finished_photos) >= 0
    and (select count(*) from shown_avatars) >= 0
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
