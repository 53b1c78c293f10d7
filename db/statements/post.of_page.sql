select p.id, p.page_id, g.uuid as page_uuid, g.name as page_name, g.avatar_key as page_avatar_key,
  json_build_object(
    'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
    'avatar_key', u.avatar_key
  ) as author,
  p.text,
  case
    when p.photo_count = 0 then '[]'::json
    else coalesce(
      (
        select json_agg(
          json_build_object(
            'id', f.id, 'key', f.key, 'alt', f.alt, 'state', f.state, 'problem', f.problem, 'side', f.side, 'variants',
            f.variants, 'placeholder', f.placeholder
          )
          order by f.position, f.id
        )
        from photos f
        where f.post_id = p.id
      ),
      '[]'
    )
  end as photos,
  case
    when p.tagged = '{}' then '{}'::text[]
    else array(
      select t.login from unnest(p.tagged) with ordinality w (id, place) join users t on t.id = w.id order by w.place
    )
  end as tagged_users,
  p.place, p.reply_to,
  case when p.reply_to is not null then (select o.page_id from posts o where o.id = p.reply_to) end as reply_page_id,
  p.reply_to is not null and exists (
    select from posts o join visible_pages($1) v on v.id = o.page_id where o.id = p.reply_to and o.state = 'ready'
  ) as reply_visible,
  p.like_count,
  case
    when p.reply_count = 0 then 0
    else p.reply_count - (
      select count(*)
      from posts r
      where r.reply_to = p.id
        and r.withheld
        and r.state = 'ready'
        and not exists (select from visible_pages($1) v where v.id = r.page_id)
    )
  end as reply_count,
  exists (select from likes l where l.post_id = p.id and l.user_id = $1) as liked, p.state,
  to_char(p.published_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as published_at, p.created_at,
  p.updated_at
from posts p
join visible_pages($1) g on g.id = p.page_id
join users u on u.id = g.owner_id
where p.page_id = $2
  and p.state = 'ready'
  and ($3::timestamptz is null or (p.published_at, p.id) < ($3::timestamptz, $4::uuid))
order by p.published_at desc, p.id desc
limit $5
