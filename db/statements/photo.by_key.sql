select f.id, f.format, f.side, f.variants,
  case
    when f.post_id is not null then p.state = 'ready' and exists (
      select from visible_pages('00000000-0000-0000-0000-000000000000'::uuid) v where v.id = p.page_id
    )
    when f.page_id is not null then coalesce(greatest(g.blocked_until, g.owner_blocked_until), '-infinity') <= now()
    else true
  end as open
from photos f
left join posts p on p.id = f.post_id
left join pages g on g.id = f.page_id
where f.key = $2
  and f.state = 'ready'
  and (
    f.user_id is not null
    or f.page_id is not null
      and g.deleted_at is null
      and (
        coalesce(greatest(g.blocked_until, g.owner_blocked_until), '-infinity') <= now()
        or exists (select from users u where u.id = $1 and u.role <> 'user')
      )
    or exists (
      select
      from visible_pages(coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)) v
      where v.id = p.page_id and (p.state = 'ready' or v.owner_id = $1)
    )
  )
