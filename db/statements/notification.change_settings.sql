with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, user_id uuid, letters text, mute text[], unmute text[]
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
changed_settings as (
  insert into notification_settings as s (user_id, letters, muted)
  select user_id, coalesce(letters, 'at_once'), mute
  from turns
  on conflict (user_id) do update
  set letters = coalesce((select t.letters from turns t where t.user_id = s.user_id), s.letters),
    muted = array(
      select k
      from unnest(s.muted || excluded.muted) k
      where k <> all ((select t.unmute from turns t where t.user_id = s.user_id)::text[])
      group by k
      order by k
    )
  returning s.user_id, s.letters, s.muted
),
answers as materialized (
  select t.turn, jsonb_build_object('letters', c.letters, 'muted', c.muted) as result
  from turns t
  join changed_settings c on c.user_id = t.user_id
)
select a.turn, a.result, null as seq, null as events
from answers a
