with fence as materialized (select from partitions where id = $2 and epoch = $3 for share),
taken_signals as (
  delete from like_signals
  where exists (select from fence)
    and post_id in (select post_id from like_signals order by post_id limit $1 for update)
  returning post_id, page_id, likers, change
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'post.likes' as kind, page_id as page_id, post_id as post_id, null::uuid as user_id,
      jsonb_build_object('counts', jsonb_build_object('likes', change)) || case
        when likers <> '{}' then jsonb_build_object('likers', likers)
        else '{}'
      end as data,
      now() as at
    from taken_signals
  ) t
  where true
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
select (select json_agg(e order by e.seq) from saved_events e) as events
