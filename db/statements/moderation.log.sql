select seq, at, act, actor_id, actor_login, actor_role, target_kind, target_id, target_name, reason, before, after, hash
from moderation_log
where ($1::uuid is null or actor_id = $1)
  and ($2::text is null or act = $2)
  and ($3::uuid is null or target_id = $3)
  and ($4::timestamptz is null or at >= $4)
  and ($5::timestamptz is null or at < $5)
  and ($6::bigint is null or seq < $6)
order by seq desc
limit $7
