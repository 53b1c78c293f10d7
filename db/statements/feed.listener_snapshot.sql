select (select seq from sequencer) as seq,
  coalesce(
    (
      select json_agg(
        json_build_object('id', w.id, 'visible', exists (select from visible_pages($1) v where v.id = w.id))
      )
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
    '[]'
  ) as pages
