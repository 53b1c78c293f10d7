with target as materialized (select * from deliveries where event_id = $1 and user_id = $2 for update),
post_email as materialized (
  select u.email,
    jsonb_build_object(
      'id', p.id, 'text', p.text, 'photos', p.photo_count, 'is_reply', p.reply_to is not null, 'page', g.name, 'author',
      a.first_name || ' ' || a.last_name, 'published_at', p.published_at
    ) as post,
    coalesce(n.letters, 'at_once') as letters
  from target d
  join posts p on p.id = d.event_id and p.state = 'ready'
  join visible_pages(d.user_id) g on g.id = p.page_id
  join users a on a.id = g.owner_id
  join follows f on f.page_id = g.id and f.user_id = d.user_id and f.state = 'following'
  join users u on u.id = d.user_id
  left join notification_settings n on n.user_id = u.id
  where coalesce(n.letters, 'at_once') <> 'never'
    and u.email_verified_at is not null
    and (u.blocked_until is null or u.blocked_until <= now())
    and not exists (select from bounces b where b.email = lower(u.email) and b.until > now())
),
-- A person who has changed to digests gets the post in a digest.
next as materialized (
  select t.*,
    case
      when t.state <> 'sending' and exists (select from post_email where letters = 'daily') then 'digest'
      else case
        when t.state = 'sending' and not $3::boolean then 'unknown'
        when t.state in ('sent', 'unknown', 'skipped') then t.state
        when exists (select from post_email) then 'sending'
        else 'skipped'
      end
    end as next
  from target t
),
marked_deliveries as (
  update deliveries d
  set state = n.next, at = now(),
    digest_id = case when n.next = 'digest' then md5(d.user_id::text || $4::text)::uuid end
  from next n
  where d.event_id = n.event_id and d.user_id = n.user_id
  returning d.state
),
digests as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select distinct md5(d.user_id::text || $4::text)::uuid, 'post.digest', jsonb_build_object('user_id', d.user_id),
    $4::timestamptz, d.user_id
  from (select * from next where next = 'digest') d
  on conflict (id) do nothing
  returning 1
)
select m.state, l.email, l.post
from marked_deliveries m
left join post_email l on true
