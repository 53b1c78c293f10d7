with due_handles as materialized (
  select handle from old_handles where expires_at <= now() order by expires_at limit 1000 for update skip locked
),
expired_handles as (delete from old_handles o using due_handles d where o.handle = d.handle returning o.handle)
delete from handles h using expired_handles e
where h.handle = e.handle and not exists (select from users l where lower(l.login) = lower(h.handle))
returning h.handle
