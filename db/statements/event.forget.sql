with old_events as (
  -- The oldest events, as far as they are past retention.
  delete from events
  where seq in (
    select seq
    from (select seq, at from events order by seq limit $2) e
    where e.seq <= (select coalesce(min(c.seq), e.seq) from consumers c)
      and e.at < now() - $1 * interval '1 millisecond'
  )
  returning seq
),
new_floor as (
  update sequencer set floor = greatest(floor, (select max(seq) from old_events)) where exists (select from old_events)
)
select seq
from old_events
