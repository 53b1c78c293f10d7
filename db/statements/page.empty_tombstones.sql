with old_tombstones as (select id from pages where deleted_at < now() - $1 * interval '1 millisecond')
delete from posts
where page_id in (select id from old_tombstones)
