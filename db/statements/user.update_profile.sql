with fence as materialized (select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.*
  from json_to_recordset($1::json) as i(
    turn int, part int, epoch bigint, receipt uuid, id uuid, first_name text, last_name text, pending_email text,
    mailbox_mark text, nonce text, expires_at timestamptz, asked_at timestamptz[], "to" text, job uuid, notice_to text,
    notice_job uuid, renamed boolean, at timestamptz, login text, before jsonb, after jsonb, by_id uuid, by_role text,
    reason text
  )
  join fence f on f.id = i.part and f.epoch = i.epoch
),
changed_users as (
  update users u
  set first_name = t.first_name, last_name = t.last_name, pending_email = t.pending_email,
    mailbox_mark = t.mailbox_mark, change_asked_at = t.asked_at, verify_nonce = t.nonce,
    verify_expires_at = t.expires_at,
    verify_attempts = case when u.verify_nonce is not distinct from t.nonce then u.verify_attempts else 0 end
  from turns t
  where u.id = t.id
  returning 1
),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, 'letter', jsonb_build_object('letter', 'verify', 'user_id', id, 'nonce', nonce, 'to', "to"), at, id
  from turns
  where "to" is not null
  returning 1
),
notice_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select notice_job, 'letter',
    jsonb_build_object(
      'user_id', id, 'to', notice_to, 'notice', jsonb_build_object('notice', 'email_change_asked', 'at', at)
    ),
    at, id
  from turns
  where notice_to is not null
  returning 1
),
answers as materialized (select turn, '{}'::jsonb as result from turns),
entries as materialized (
  select *
  from (
    select turn as place, 'account.profile' as act, by_id, by_role, reason, 'account' as target_kind, id as target_id,
      login as target_name, before as before, after as after, at
    from turns
    where after is not null
  ) n
  where (select count(*) from changed_users) >= 0
    and (select count(*) from queued_emails) >= 0
    and (select count(*) from notice_emails) >= 0
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
),
new_events as materialized (
  select *
  from (
    select 1 as rank, 'page.updated' as kind, p.id as page_id, null::uuid as post_id, null::uuid as user_id,
      null::jsonb as data, t.at as at
    from turns t
    join pages p on p.owner_id = t.id
    where t.renamed
  ) t
  where (select count(*) from changed_users) >= 0
    and (select count(*) from queued_emails) >= 0
    and (select count(*) from notice_emails) >= 0
    and (select count(*) from log_entries) >= 0
),
event_count as materialized (select count(*) as n from new_events),
event_numbers as (
  update sequencer set seq = seq + (select n from event_count) where (select n from event_count) > 0 returning seq
),
saved_events as (
  insert into events (seq, kind, page_id, post_id, user_id, data, at)
  select (select seq from event_numbers) - (select n from event_count) + row_number() over (order by rank), kind,
    page_id, post_id, user_id, data, at
  from new_events
  where (select seq from event_numbers) is not null
  returning seq, kind, page_id, post_id, user_id, data, at
)
select a.turn, a.result, (select seq from event_numbers) as seq,
  case when row_number() over () = 1 then (select json_agg(e order by e.seq) from saved_events e)::text end as events
from answers a
