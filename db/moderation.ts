import { defineCommit, tell } from "../actors/runtime/commit.ts";
import { ENDED } from "./follows.ts";
import { tellReplies } from "./publishing.ts";
import type { Role } from "./users.ts";

const BLOCKED = `'{"reason": "blocked"}'::jsonb`;
const DELETED = `'{"reason": "deleted"}'::jsonb`;

/** True where this act would leave the installation without an administrator who can sign in. */
const LAST_ADMIN = `guarded as materialized (
  select t.*, exists (select from users u where u.id = t.id and u.role = 'admin')
    and not exists (select from users o where o.role = 'admin' and o.id <> t.id
      and (o.blocked_until is null or o.blocked_until <= now())) as last_admin
  from turns t)`;

export const setRole = defineCommit<{ id: string; role: Role }, { last_admin: boolean }>("user.set_role", {
  columns: "id uuid, role text",
  body: `${LAST_ADMIN},
changed as (
  update users u set role = g.role from guarded g where u.id = g.id and (not g.last_admin or g.role = 'admin'))`,
  select: "select turn, jsonb_build_object('last_admin', last_admin and role <> 'admin') as result from guarded",
});

interface BlockUserRow {
  id: string;
  until: string;
  reason: string;
  /** The job that tells of the block's end. */
  job: string;
  at: string;
}

/** Blocks the account, ends its session and hides its pages; their own blocks stay what they are. */
export const blockUser = defineCommit<BlockUserRow, { last_admin: boolean }>("user.block", {
  columns: "id uuid, until timestamptz, reason text, job uuid, at timestamptz",
  body: `${LAST_ADMIN},
allowed as materialized (select * from guarded where not last_admin),
blocked as (
  update users u set blocked_at = t.at, blocked_until = t.until, blocked_reason = t.reason from allowed t where u.id = t.id),
ended as (
  update sessions s set ended_at = t.at, end_reason = 'session-ended' from allowed t
  where s.user_id = t.id and s.ended_at is null),
scheduled as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, 'user.block_lapsed', jsonb_build_object('user_id', id), until, id from allowed where until < 'infinity'),
hidden as (
  update pages p set owner_blocked_until = t.until from allowed t
  where p.owner_id = t.id and p.deleted_at is null returning p.id, t.at)`,
  tells: tell("page.hidden", { page: "id", data: BLOCKED, from: "hidden" }),
  select: "select turn, jsonb_build_object('last_admin', last_admin) as result from guarded",
});

/** Shows the pages again that nothing else hides. `where` says which account blocks are over. */
const SHOW_PAGES = `shown as (
  update pages p set owner_blocked_until = null from turns t
  where p.owner_id = t.id and p.owner_blocked_until is not null and p.deleted_at is null
  returning p.id, t.at, p.blocked_until)`;
const TELL_SHOWN = tell("page.shown", {
  page: "id",
  from: "shown where blocked_until is null or blocked_until <= now()",
});

export const unblockUser = defineCommit<{ id: string; at: string }, Record<string, never>>("user.unblock", {
  columns: "id uuid, at timestamptz",
  body: `freed as (
  update users u set blocked_at = null, blocked_until = null, blocked_reason = null from turns t where u.id = t.id),
unscheduled as (delete from jobs j using turns t where j.user_id = t.id and j.kind = 'user.block_lapsed'),
${SHOW_PAGES}`,
  tells: TELL_SHOWN,
  select: "select turn, '{}'::jsonb as result from turns",
});

export const lapseUserBlock = defineCommit<{ id: string; at: string }, Record<string, never>>("user.lapse_block", {
  columns: "id uuid, at timestamptz",
  body: `freed as (
  update users u set blocked_at = null, blocked_until = null, blocked_reason = null from turns t where u.id = t.id),
${SHOW_PAGES}`,
  tells: TELL_SHOWN,
  select: "select turn, '{}'::jsonb as result from turns",
});

/**
 * Deletes an account with everything it owns: pages become tombstones without an owner, their posts go, likes and follows
 * go with their counts, letters to its address go from the bundled mailbox, login and e-mail are free again (S4-12).
 */
export const deleteUser = defineCommit<{ id: string; at: string }, { last_admin: boolean }>("user.delete", {
  columns: "id uuid, at timestamptz",
  body: `${LAST_ADMIN},
gone as materialized (select g.* from guarded g where not g.last_admin),
own as materialized (select p.id, g.at from pages p join gone g on p.owner_id = g.id),
unliked as materialized (
  select l.post_id, count(*) as n from likes l join gone g on l.user_id = g.id group by l.post_id),
locked as materialized (
  select p.id from posts p
  where p.id in (select post_id from unliked)
    or p.id in (select r.reply_to from posts r join own on own.id = r.page_id where r.reply_to is not null)
  order by p.id for update),
answered as (
  select r.reply_to as post_id, count(*) as n from posts r join own on own.id = r.page_id
  where r.reply_to is not null and r.state = 'ready' group by r.reply_to),
recounted as (
  update posts p set like_count = p.like_count - coalesce(u.n, 0), reply_count = p.reply_count - coalesce(a.n, 0)
  from locked k left join unliked u on u.post_id = k.id left join answered a on a.post_id = k.id
  where p.id = k.id and p.page_id not in (select id from own) returning p.id, p.page_id, u.n, -a.n as replies),
signalled as (
  insert into like_signals (post_id, page_id, change) select id, page_id, -n from recounted where n is not null
  on conflict (post_id) do update set changes = like_signals.changes + 1, change = like_signals.change + excluded.change),
emptied as (delete from posts p using own where p.page_id = own.id),
-- A row changes once in a statement: not a page that goes itself, and one that several leave by their sum.
leaving as materialized (
  select f.page_id, f.user_id, f.state, g.at from follows f join gone g on f.user_id = g.id join pages p on p.id = f.page_id
  where p.deleted_at is null and p.id not in (select id from own)),
left_pages as (
  update pages p set follower_count = p.follower_count - n.followers, request_count = p.request_count - n.requests
  from (select page_id, count(*) filter (where state = 'following') as followers,
      count(*) filter (where state = 'requested') as requests from leaving group by page_id) n
  where p.id = n.page_id),
buried as (
  update pages p set deleted_at = own.at, avatar_key = null, owner_id = null, is_personal = false from own where p.id = own.id returning p.id),
unpictured as (delete from photos f using buried b where f.page_id = b.id),
freed as (delete from handles h using gone g where h.user_id = g.id),
unscheduled as (delete from jobs j using gone g where j.user_id = g.id),
forgotten as (delete from receipts r using gone g where r.scope = g.id::text),
unlettered as (
  delete from letters l using gone g join users u on u.id = g.id
  where l.recipient in (lower(u.email), lower(u.pending_email))),
removed as (delete from users u using gone g where u.id = g.id)`,
  tells: `${tell("page.hidden", { page: "id", data: DELETED, from: "own" })} union all ${
    tell("follow.changed", { page: "page_id", user: "user_id", data: ENDED, from: "leaving" })
  } union all ${tell("user.deleted", { rank: 2, user: "id", from: "gone" })} union all ${
    tellReplies("recounted where replies is not null")
  }`,
  select: "select turn, jsonb_build_object('last_admin', last_admin) as result from guarded",
});

interface BlockPageRow {
  id: string;
  until: string;
  reason: string;
  job: string;
  at: string;
}

export const blockPage = defineCommit<BlockPageRow, Record<string, never>>("page.block", {
  columns: "id uuid, until timestamptz, reason text, job uuid, at timestamptz",
  body: `blocked as (
  update pages p set blocked_at = t.at, blocked_until = t.until, blocked_reason = t.reason from turns t where p.id = t.id),
scheduled as (
  insert into jobs (id, kind, payload, run_at)
  select job, 'page.block_lapsed', jsonb_build_object('page_id', id), until from turns where until < 'infinity')`,
  tells: tell("page.hidden", { page: "id", data: BLOCKED, from: "turns" }),
  select: "select turn, '{}'::jsonb as result from turns",
});

export const unblockPage = defineCommit<{ id: string; at: string }, Record<string, never>>("page.unblock", {
  columns: "id uuid, at timestamptz",
  body: `freed as (
  update pages p set blocked_at = null, blocked_until = null, blocked_reason = null from turns t where p.id = t.id
  returning p.id, t.at, p.owner_blocked_until)`,
  tells: tell("page.shown", {
    page: "id",
    from: "freed where owner_blocked_until is null or owner_blocked_until <= now()",
  }),
  select: "select turn, '{}'::jsonb as result from turns",
});
