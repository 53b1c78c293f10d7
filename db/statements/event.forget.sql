with old as (
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
moved as (update sequencer set floor = greatest(floor, (select max(seq) from old)) where exists (select from old))
select seq
from old
