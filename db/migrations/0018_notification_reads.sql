-- Each condition is a lookup by key for one notification. Without `offset 0` Postgres may read a whole table of likes,
-- posts, follows, users or pages into a hash table instead, and it does so again for each counted person.
create or replace function visible_notifications(viewer uuid) returns setof notifications
  language sql stable parallel safe as $$
  select n.* from notifications n
  where n.user_id = viewer
    and exists (
      select from visible_pages(viewer) v where v.id = n.page_id
        and (n.kind not in ('follower', 'request', 'like') or v.owner_id = viewer) offset 0)
    and (n.kind = 'like' or exists (
      select from users u where u.id = n.actors[1] and (u.blocked_until is null or u.blocked_until <= now()) offset 0))
    and case n.kind
      when 'follower' then exists (
        select from follows f where f.page_id = n.about and f.user_id = n.who and f.state = 'following' offset 0)
      when 'request' then exists (
        select from follows f where f.page_id = n.about and f.user_id = n.who and f.state = 'requested' offset 0)
      when 'accepted' then exists (
        select from follows f where f.page_id = n.about and f.user_id = viewer and f.state = 'following' offset 0)
      when 'like' then exists (
        select from likes l join users u on u.id = l.user_id
        where l.post_id = n.post_id and l.user_id <> viewer and (u.blocked_until is null or u.blocked_until <= now())
        offset 0)
      when 'reply' then exists (
        select from posts p join posts o on o.id = p.reply_to join pages g on g.id = o.page_id
        where p.id = n.post_id and p.state = 'ready' and g.owner_id = viewer offset 0)
      else exists (
        select from posts p where p.id = n.post_id and p.state = 'ready' and viewer = any (p.tagged) offset 0)
    end
$$;
