with audience as materialized (
  select w.id, exists (select from visible_pages($1) v where v.id = w.id) as visible
  from (
    select f.page_id as id
    from follows f
    where f.user_id = $1 and f.state = 'following'
    union all
    select p.id
    from pages p
    where p.owner_id = $1
  ) w
),
own_events as materialized (
  select e.*, row_number() over (partition by e.kind, e.page_id, e.post_id order by e.seq desc) as place
  from events e
  where e.user_id = $1 and e.seq > $2 and e.seq <= $3
)
select *
from (
  select e.seq, e.kind, e.page_id, e.post_id, e.user_id, e.data, e.at
  from audience w
  cross join lateral (
    select *
    from events e
    where e.page_id = w.id
      and e.seq > $2
      and e.seq <= $3
      and e.user_id is null
      and (
        e.kind in ('page.hidden', 'page.shown')
        or w.visible
          and (e.kind like 'post.%' or e.kind in ('page.updated', 'replies.changed'))
          and (
            e.kind <> 'post.likes'
            or not exists (
              select
              from events l
              where l.kind = 'post.likes' and l.post_id = e.post_id and l.seq > e.seq and l.seq <= $3
            )
          )
          and (
            e.kind <> 'replies.changed'
            or not exists (
              select
              from events l
              where l.kind = 'replies.changed'
                and l.post_id = e.post_id
                and l.seq > e.seq
                and l.seq <= $3
                -- Events that this listener must not get.
                and not (coalesce(l.data, '{}') ? 'withheld')
            )
          )
          and (
            e.kind <> 'page.updated'
            or not exists (
              select
              from events l
              where l.kind = 'page.updated' and l.page_id = e.page_id and l.seq > e.seq and l.seq <= $3
            )
          )
      )
    order by e.seq
    limit $4
  ) e
  union all
  select e.seq, e.kind, e.page_id, e.post_id, e.user_id, e.data, e.at
  from own_events e
  where e.kind in ('page.hidden', 'page.shown')
    or e.kind in ('follow.changed', 'post.liked', 'notifications.read') and e.place = 1
    -- A notification with a newer event comes with that one.
    or e.kind = 'notification'
      and exists (select from notifications n where n.id = (e.data ->> 'id')::uuid and n.position = e.seq)
) e
order by e.seq
limit $4
