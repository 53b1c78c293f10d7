with deleted_bounces as (delete from bounces where at > now() - $1 * interval '1 millisecond' returning email),
people as (select u.id from users u join deleted_bounces f on f.email = lower(u.email)),
parked_emails as (
  insert into jobs (id, kind, payload, run_at, user_id, state, last_error)
  select gen_random_uuid(), 'post.letter', jsonb_build_object('post_id', d.event_id, 'user_id', d.user_id), now(),
    d.user_id, 'dead', $2
  from deliveries d
  join people on people.id = d.user_id
  join posts p on p.id = d.event_id
  where d.state = 'failed'
    and d.at > now() - $1 * interval '1 millisecond'
    and not exists (
      select
      from jobs j
      where j.kind = 'post.letter' and j.user_id = d.user_id and j.payload ->> 'post_id' = d.event_id::text
    )
  union all
  select d.event_id, 'post.digest', jsonb_build_object('user_id', d.user_id), now(), d.user_id, 'dead', $2
  from deliveries d
  join people on people.id = d.user_id
  where d.state = 'failed'
    and d.at > now() - $1 * interval '1 millisecond'
    and exists (select from deliveries p where p.digest_id = d.event_id and p.user_id = d.user_id)
  on conflict (id) do nothing
)
select coalesce(array_agg(email), '{}') as emails
from deleted_bounces
