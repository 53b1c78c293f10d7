with target as materialized (select * from deliveries where event_id = $1 and user_id = $2 for update),
person as materialized (
  select u.email
  from users u
  left join notification_settings n on n.user_id = u.id
  where u.id = $2
    and coalesce(n.letters, 'at_once') <> 'never'
    and u.email_verified_at is not null
    and (u.blocked_until is null or u.blocked_until <= now())
    and not exists (select from bounces b where b.email = lower(u.email) and b.until > now())
),
digest_posts as materialized (
  select
    jsonb_build_object(
      'id', p.id, 'text', p.text, 'photos', p.photo_count, 'is_reply', p.reply_to is not null, 'page', g.name, 'author',
      a.first_name || ' ' || a.last_name, 'published_at', p.published_at
    ) as post,
    row_number() over (order by p.published_at desc, p.id desc) as place, count(*) over () as total
  from deliveries d
  join posts p on p.id = d.event_id and p.state = 'ready'
  join visible_pages(d.user_id) g on g.id = p.page_id
  join users a on a.id = g.owner_id
  join follows f on f.page_id = g.id and f.user_id = d.user_id and f.state = 'following'
  where d.digest_id = $1 and d.user_id = $2 and d.state = 'digest'
),
marked_deliveries as (
  update deliveries d
  set
    state = case
      when t.state = 'sending' and not $3::boolean then 'unknown'
      when t.state in ('sent', 'unknown', 'skipped') then t.state
      when exists (select from person) and exists (select from digest_posts) then 'sending'
      else 'skipped'
    end,
    at = now()
  from target t
  where d.event_id = t.event_id and d.user_id = t.user_id
  returning d.state
)
select m.state, (select email from person) as email, coalesce((select max(total) from digest_posts), 0) as total,
  coalesce((select jsonb_agg(t.post order by t.place) from digest_posts t where t.place <= $4), '[]') as posts
from marked_deliveries m
