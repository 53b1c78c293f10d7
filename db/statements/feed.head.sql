select (select seq from sequencer) as seq,
  array(
    select id::text
    from (
      select f.page_id as id
      from follows f
      where f.user_id = $1 and f.state = 'following'
      union all
      select p.id
      from pages p
      where p.owner_id = $1 and p.deleted_at is null
    ) w
  ) as pages
