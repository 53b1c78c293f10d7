with own_pages as materialized (select p.id, p.post_count from pages p where p.owner_id = $1 and p.deleted_at is null)
select (select count(*) from own_pages) as pages, (select coalesce(sum(post_count), 0)::bigint from own_pages) as posts,
  (
    select count(distinct f.user_id)
    from follows f
    join own_pages on own_pages.id = f.page_id
    where f.state = 'following'
  ) as followers,
  coalesce(
    (
      select bool_and(u.id = $1)
      from users u
      where u.role = 'admin' and (u.blocked_until is null or u.blocked_until <= now())
    ),
    false
  ) as last_admin
