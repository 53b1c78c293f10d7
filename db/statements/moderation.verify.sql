select c.seq as end_seq, c.hash as end_hash, e.seq, e.previous, e.hash, moderation_hash(e) as computed
from moderation_chain c
left join lateral (select * from moderation_log e where e.seq > $1 order by e.seq limit $2) e on true
order by e.seq
