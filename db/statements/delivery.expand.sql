with job as materialized (
  select id, payload from jobs where id = $1 and kind = $2 and attempts = $3 and state = 'running' for update
),
post as materialized (
  select p.id, p.page_id, p.published_at,
    coalesce(j.payload->>'after', '00000000-0000-0000-0000-000000000000')::uuid as after
  from job j
  join posts p on p.id = (j.payload->>'post_id')::uuid
  join pages g on g.id = p.page_id
  where p.state = 'ready' and g.deleted_at is null
),
step as materialized (
  select p.id as event_id, p.published_at, f.*
  from post p
  cross join lateral (
    select user_id, created_at
    from follows
    where page_id = p.page_id and user_id > p.after and state = 'following'
    order by user_id
    limit $4
  ) f
),
ledger as (
  insert into deliveries (event_id, user_id, state, digest_id)
  select s.event_id, s.user_id, case when n.letters = 'daily' then 'digest' else 'due' end,
    case when n.letters = 'daily' then md5(s.user_id::text || $5::text)::uuid end
  from step s
  join users u on u.id = s.user_id
  left join notification_settings n on n.user_id = s.user_id
  where s.created_at <= s.published_at
    and coalesce(n.letters, 'at_once') <> 'never'
    and u.email_verified_at is not null
    and (u.blocked_until is null or u.blocked_until <= now())
    and not exists (select from bounces b where b.email = lower(u.email) and b.until > now())
  on conflict do nothing
  returning event_id, user_id, state
),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select gen_random_uuid(), 'post.letter', jsonb_build_object('post_id', event_id, 'user_id', user_id), now(), user_id
  from ledger
  where state = 'due'
  returning id
),
digests as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select distinct md5(d.user_id::text || $5::text)::uuid, 'post.digest', jsonb_build_object('user_id', d.user_id),
    $5::timestamptz, d.user_id
  from (select * from ledger where state = 'digest') d
  on conflict (id) do nothing
  returning 1
),
new_position as (
  update jobs
  set payload = payload || jsonb_build_object('after', (select user_id from step order by user_id desc limit 1))
  where id in (select id from job) and exists (select from step)
)
select (select count(*) from step) as seen, array(select id::text from queued_emails) as letters
