with wanted as materialized (select id, user_id from notifications where id = any($1::uuid[])),
-- Once for each person, however many notifications they get.
counts as materialized (
  select u.user_id,
    (
      select count(*)
      from (select from visible_notifications(u.user_id) o where o.position > coalesce(s.read_position, 0) limit 1000) o
    ) as unread
  from (select distinct user_id from wanted) u
  left join notification_settings s on s.user_id = u.user_id
)
select n.id, n.kind, n.at, n.position, n.position > coalesce(s.read_position, 0) as unread,
  case
    when n.kind = 'like' then p.like_count - (
      select count(*) from likes l where l.post_id = p.id and l.user_id = n.user_id
    ) - (
      select count(*)
      from users b
      join likes l on l.post_id = p.id and l.user_id = b.id
      where b.blocked_until is not null and b.blocked_until > now() and b.id <> n.user_id
    )
    else 1
  end as count,
  case
    when n.kind = 'like' then coalesce(
      (
        select json_agg(
          json_build_object(
            'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
            'avatar_key', u.avatar_key
          )
          order by array_position(n.actors, u.id)
        )
        from users u
        where u.id = any (n.actors)
          and u.id <> n.user_id
          and (u.blocked_until is null or u.blocked_until <= now())
          and exists (select from likes l where l.post_id = n.post_id and l.user_id = u.id)
      ),
      (
        select json_agg(
          json_build_object(
            'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
            'avatar_key', u.avatar_key
          )
        )
        from (
          select u.*
          from likes l
          join users u on u.id = l.user_id
          where l.post_id = n.post_id
            and l.user_id <> n.user_id
            and (u.blocked_until is null or u.blocked_until <= now())
          limit 1
        ) u
      )
    )
    else (
      select json_agg(
        json_build_object(
          'id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name, 'page_id', u.page_id,
          'avatar_key', u.avatar_key
        )
      )
      from users u
      where u.id = n.actors[1]
    )
  end as actors,
  json_build_object('id', g.id, 'uuid', g.uuid, 'name', g.name, 'avatar_key', g.avatar_key) as page,
  case when p.id is not null then json_build_object('id', p.id, 'text', left(p.text, 200)) end as post,
  c.unread as unread_count
from wanted w
cross join lateral (select * from visible_notifications(w.user_id) v where v.id = w.id) n
join pages g on g.id = n.page_id
left join posts p on p.id = n.post_id
left join notification_settings s on s.user_id = n.user_id
join counts c on c.user_id = n.user_id
