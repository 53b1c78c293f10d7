with account as (select id, login, lower(email) as email from users where id = $1),
lifted_bounces as (
  delete from bounces b using account a where b.email = a.email returning a.id, a.login, b.code, b.until
),
acts as (
  select 1 as turn, $2::uuid as by_id, $3::text as by_role, null::text as reason, now() as at, id, login,
    jsonb_build_object('email_bounce', jsonb_build_object('code', code, 'until', until)) as before
  from lifted_bounces
  where id <> $2 and until > now()
),
entries as materialized (
  select *
  from (
    select turn as place, 'account.profile' as act, by_id, by_role, reason, 'account' as target_kind, id as target_id,
      login as target_name, before as before, '{"email_bounce": null}'::jsonb as after, at
    from acts
  ) n
  where (select count(*) from lifted_bounces) >= 0
),
log_entries as (
  insert into moderation_log (
    at, act, actor_id, actor_login, actor_role, target_kind, target_id, target_name, reason, before, after
  )
  select n.at, n.act, n.by_id, (select u.login from users u where u.id = n.by_id), coalesce(n.by_role, 'system'),
    n.target_kind, n.target_id, n.target_name, n.reason, n.before, n.after
  from entries n
  order by n.place
  returning seq
)
select exists (select from account) as found
