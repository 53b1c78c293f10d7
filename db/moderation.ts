import { accountChanged, accountChangedBy } from "./account_events.ts";
import { defineCommit, eventRow } from "./turn_statement.ts";
import { EMAIL_JOB } from "./letters.ts";
import { ENDED } from "./follows.ts";
import { BY_COLUMNS, type ByRow, record } from "./moderation_log.ts";
import { replyAudienceEvents, replyEvents } from "./publishing.ts";
import type { Reader } from "./sql.ts";
import type { AccountRole } from "./account_role.ts";

const BLOCKED = `'{"reason": "blocked"}'::jsonb`;
const DELETED = `'{"reason": "deleted"}'::jsonb`;

/**
 * The turns that would leave no administrator who can sign in. The rows are locked in order and read again: concurrent
 * acts on two administrators must not each count on the other.
 */
const lastAdmin = (removes = "true") =>
  `admins as materialized (
  select u.id from users u
  where u.role = 'admin' and (u.blocked_until is null or u.blocked_until <= now())
    and exists (select from turns t join users x on x.id = t.id where x.role = 'admin')
  order by u.id for no key update),
admin_removals as materialized (
  select t.turn, row_number() over (order by t.turn) as place from turns t join admins a on a.id = t.id
    where ${removes}),
admin_checks as materialized (
  select t.*, coalesce(r.place >= (select count(*) from admins), false) as last_admin
  from turns t left join admin_removals r on r.turn = t.turn)`;

/** The account before the statement, as a statement does not see its own changes. */
const PREVIOUS_USER = `previous as materialized (
  select t.*, u.login, u.role as old_role, u.blocked_until, u.blocked_reason from admin_checks t
    join users u on u.id = t.id
  where not t.last_admin order by u.id for no key update of u)`;
const PREVIOUS_BLOCK = "jsonb_build_object('blocked', block_as_json(blocked_until, blocked_reason))";
const NO_BLOCK = `'{"blocked": null}'::jsonb`;

const CHANGED_EVENTS = accountChangedBy("id", "previous");

export const setRole = defineCommit<{ id: string; role: AccountRole; at: string } & ByRow, { last_admin: boolean }>(
  "user.set_role",
  {
    columns: `id uuid, role text, at timestamptz, ${BY_COLUMNS}`,
    body: `${lastAdmin("t.role <> 'admin'")},
${PREVIOUS_USER},
changed_roles as (update users u set role = w.role from previous w where u.id = w.id)`,
    records: record("account.role", {
      name: "login",
      before: "jsonb_build_object('role', old_role)",
      after: "jsonb_build_object('role', role)",
      from: "previous where role <> old_role",
    }),
    events: CHANGED_EVENTS,
    select: "select turn, jsonb_build_object('last_admin', last_admin) as result from admin_checks",
  },
);

/** Sets a password that its owner did not choose. Ends the session and notifies the owner by email. */
export const givePassword = defineCommit<
  { id: string; password_hash: string; job: string; at: string } & ByRow,
  object
>(
  "user.give_password",
  {
    columns: `id uuid, password_hash text, job uuid, at timestamptz, ${BY_COLUMNS}`,
    body: `previous as materialized (
  select t.*, u.login, u.email, u.email_verified_at from turns t join users u on u.id = t.id
    order by u.id for no key update of u),
changed_passwords as (
  update users u set password_hash = w.password_hash, password_version = u.password_version + 1,
    verify_nonce = null, verify_expires_at = null, verify_attempts = 0, recover_nonce = null, recover_expires_at = null,
    mailbox_mark = null
  from previous w where u.id = w.id),
ended_sessions as (
  update sessions s set ended_at = w.at, end_reason = 'session-ended' from previous w where s.user_id = w.id
    and s.ended_at is null),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, '${EMAIL_JOB}', jsonb_build_object('user_id', id, 'to', email,
    'notice', jsonb_build_object('notice', 'password_changed', 'at', at)), at, id from previous
      where email_verified_at is not null)`,
    records: record("account.password", { name: "login", from: "previous" }),
    events: CHANGED_EVENTS,
    select: "select turn, '{}'::jsonb as result from previous",
  },
);

export interface BlockRow extends ByRow {
  id: string;
  until: string;
  /** The job that ends the block. */
  job: string;
  at: string;
}
const BLOCK_COLUMNS = `id uuid, until timestamptz, job uuid, at timestamptz, ${BY_COLUMNS}`;

/** Blocks the account, ends its session and hides its pages. The pages' own blocks stay. */
export const blockUser = defineCommit<BlockRow, { last_admin: boolean }>("user.block", {
  columns: BLOCK_COLUMNS,
  body: `${lastAdmin()},
${PREVIOUS_USER},
blocked_users as (
  update users u set blocked_at = t.at, blocked_until = t.until, blocked_reason = t.reason from previous t
    where u.id = t.id),
ended_sessions as (
  update sessions s set ended_at = t.at, end_reason = 'session-ended' from previous t
  where s.user_id = t.id and s.ended_at is null),
expiry_jobs as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, 'user.block_lapsed', jsonb_build_object('user_id', id), until, id from previous where until < 'infinity'),
hidden_pages as (
  update pages p set owner_blocked_until = t.until from previous t
  where p.owner_id = t.id and p.deleted_at is null returning p.id, t.at)`,
  records: record("account.block", {
    name: "login",
    before: PREVIOUS_BLOCK,
    after: "jsonb_build_object('blocked', block_as_json(until, reason))",
    from: "previous",
  }),
  events: `${eventRow("page.hidden", { page: "id", data: BLOCKED, from: "hidden_pages" })} union all ${
    replyAudienceEvents("hidden_pages")
  } union all ${accountChanged("id", "previous")}`,
  select: "select turn, jsonb_build_object('last_admin', last_admin) as result from admin_checks",
});

/** Ends the account's block and shows its pages again, unless something else hides them. */
const FREE_USER = `previous as materialized (
  select t.*, u.login, u.blocked_until, u.blocked_reason from turns t join users u on u.id = t.id
  where u.blocked_until is not null order by u.id for no key update of u),
unblocked_users as (
  update users u set blocked_at = null, blocked_until = null, blocked_reason = null from previous w where u.id = w.id),
shown_pages as (
  update pages p set owner_blocked_until = null from turns t
  where p.owner_id = t.id and p.owner_blocked_until is not null and p.deleted_at is null
  returning p.id, t.at, p.blocked_until)`;
const SHOWN = "shown_pages where blocked_until is null or blocked_until <= now()";
const SHOWN_EVENTS = `${eventRow("page.shown", { page: "id", from: SHOWN })} union all ${
  replyAudienceEvents(SHOWN)
} union all ${accountChanged("id", "previous")}`;
const FREED_USER = { name: "login", before: PREVIOUS_BLOCK, after: NO_BLOCK, from: "previous" };

export const unblockUser = defineCommit<{ id: string; at: string } & ByRow, Record<string, never>>("user.unblock", {
  columns: `id uuid, at timestamptz, ${BY_COLUMNS}`,
  body: `${FREE_USER},
deleted_jobs as (delete from jobs j using turns t where j.user_id = t.id and j.kind = 'user.block_lapsed')`,
  records: record("account.unblock", FREED_USER),
  events: SHOWN_EVENTS,
  select: "select turn, '{}'::jsonb as result from turns",
});

export const expireUserBlock = defineCommit<{ id: string; at: string }, Record<string, never>>("user.lapse_block", {
  columns: `id uuid, at timestamptz, ${BY_COLUMNS}`,
  body: FREE_USER,
  records: record("account.block_lapsed", FREED_USER),
  events: SHOWN_EVENTS,
  select: "select turn, '{}'::jsonb as result from turns",
});

/**
 * Deletes an account with everything it owns. Pages become tombstones without an owner and lose their posts. Likes and
 * follows are deleted and the counts corrected. Emails in the bundled mailbox are deleted. Login and email can be used
 * again.
 */
export const deleteUser = defineCommit<{ id: string; at: string } & ByRow, { last_admin: boolean }>("user.delete", {
  columns: `id uuid, at timestamptz, ${BY_COLUMNS}`,
  body: `${lastAdmin()},
-- Lock order: accounts, pages, posts, sequencer; within each kind by id.
deleted_users as materialized (
  select g.* from admin_checks g join users u on u.id = g.id where not g.last_admin order by g.id for update of u),
account_summaries as materialized (
  select g.*, u.login, jsonb_build_object('login', u.login, 'role', u.role, 'created_at', u.created_at,
      'blocked', block_as_json(u.blocked_until, u.blocked_reason),
      'pages', (select count(*) from pages p where p.owner_id = u.id and p.deleted_at is null),
      'posts', (select count(*) from posts x join pages p on p.id = x.page_id where p.owner_id = u.id)) as previous
  from deleted_users g join users u on u.id = g.id),
affected_pages as materialized (
  select p.id from pages p
  where p.id in (
    select o.id from pages o join deleted_users g on g.id = o.owner_id
    union select f.page_id from follows f join deleted_users g on g.id = f.user_id)
  order by p.id for no key update),
own_pages as materialized (
  select p.id, g.at from pages p join deleted_users g on p.owner_id = g.id
    where p.id in (select id from affected_pages)),
removed_likes as materialized (
  select l.post_id, count(*) as n from likes l join deleted_users g on l.user_id = g.id group by l.post_id),
locked_posts as materialized (
  select p.id from posts p
  where p.id in (
    select post_id from removed_likes
    union select r.reply_to from posts r join own_pages on own_pages.id = r.page_id where r.reply_to is not null)
  order by p.id for update),
removed_replies as (
  select r.reply_to as post_id, count(*) as n, array_agg(distinct r.page_id) as via from posts r
    join own_pages on own_pages.id = r.page_id
  where r.reply_to is not null and r.state = 'ready' group by r.reply_to),
recounted_posts as (
  update posts p set like_count = p.like_count - coalesce(u.n, 0), reply_count = p.reply_count - coalesce(a.n, 0)
  from locked_posts k left join removed_likes u on u.post_id = k.id left join removed_replies a on a.post_id = k.id
  where p.id = k.id and p.page_id not in (select id from own_pages)
    returning p.id, p.page_id, u.n, -a.n as replies, a.via),
signals as (
  insert into like_signals (post_id, page_id, change) select id, page_id, -n from recounted_posts where n is not null
  on conflict (post_id) do update
    set changes = like_signals.changes + 1, change = like_signals.change + excluded.change),
deleted_posts as (delete from posts p using own_pages where p.page_id = own_pages.id),
-- A row changes once in a statement: deleted pages are excluded, and a page with several leaving followers changes by
-- their sum.
ended_follows as materialized (
  select f.page_id, f.user_id, f.state, g.at from follows f join deleted_users g on f.user_id = g.id
    join pages p on p.id = f.page_id
  where p.deleted_at is null and p.id not in (select id from own_pages)),
left_page_counts as (
  update pages p set follower_count = p.follower_count - n.followers, request_count = p.request_count - n.requests
  from (select page_id, count(*) filter (where state = 'following') as followers,
      count(*) filter (where state = 'requested') as requests from ended_follows group by page_id) n
  where p.id = n.page_id),
tombstones as (
  update pages p set deleted_at = own_pages.at, avatar_key = null, owner_id = null, is_personal = false from own_pages
    where p.id = own_pages.id returning p.id),
deleted_photos as (delete from photos f using tombstones b where f.page_id = b.id),
deleted_handles as (delete from handles h using deleted_users g where h.user_id = g.id),
deleted_jobs as (delete from jobs j using deleted_users g where j.user_id = g.id),
deleted_receipts as (delete from receipts r using deleted_users g where r.scope = g.id::text),
deleted_accounts as (delete from users u using deleted_users g where u.id = g.id)`,
  // The expiry of an unverified account is no act of moderation.
  records: record("account.delete", {
    name: "login",
    before: "previous",
    from: "account_summaries where by_id is not null",
  }),
  events: `${eventRow("page.hidden", { page: "id", data: DELETED, from: "own_pages" })} union all ${
    eventRow("follow.changed", { page: "page_id", user: "user_id", data: ENDED, from: "ended_follows" })
  } union all ${eventRow("user.deleted", { rank: 2, user: "id", from: "deleted_users" })} union all ${
    replyEvents("recounted_posts where replies is not null")
  }`,
  select: "select turn, jsonb_build_object('last_admin', last_admin) as result from admin_checks",
});

/** What a block would affect. */
export interface Reach {
  pages: number;
  /** Published posts. */
  posts: number;
  /** Distinct people. */
  followers: number;
}

export async function reachOfUserBlock(sql: Reader, id: string): Promise<Reach & { last_admin: boolean }> {
  const [row] = await sql.query<Reach & { last_admin: boolean }>(
    `with own_pages as materialized (select p.id, p.post_count from pages p
      where p.owner_id = $1 and p.deleted_at is null)
    select (select count(*) from own_pages) as pages,
      (select coalesce(sum(post_count), 0)::bigint from own_pages) as posts,
      (select count(distinct f.user_id) from follows f join own_pages on own_pages.id = f.page_id
        where f.state = 'following') as followers,
      coalesce((select bool_and(u.id = $1) from users u
        where u.role = 'admin' and (u.blocked_until is null or u.blocked_until <= now())), false) as last_admin`,
    [id],
    "moderation.reach_of_user",
  );
  return row!;
}

export async function reachOfPageBlock(sql: Reader, id: string): Promise<Reach> {
  const [row] = await sql.query<Reach>(
    "select 1 as pages, post_count as posts, follower_count as followers from pages where id = $1",
    [id],
    "moderation.reach_of_page",
  );
  return row!;
}

const PREVIOUS_PAGE = `previous as materialized (
  select t.*, p.uuid, p.blocked_until, p.blocked_reason from turns t join pages p on p.id = t.id
  order by p.id for no key update of p)`;

export const blockPage = defineCommit<BlockRow, Record<string, never>>("page.block", {
  columns: BLOCK_COLUMNS,
  body: `${PREVIOUS_PAGE},
blocked_pages as (
  update pages p set blocked_at = t.at, blocked_until = t.until, blocked_reason = t.reason from previous t
    where p.id = t.id),
expiry_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select job, 'page.block_lapsed', jsonb_build_object('page_id', id), until from turns where until < 'infinity')`,
  records: record("page.block", {
    name: "uuid",
    before: PREVIOUS_BLOCK,
    after: "jsonb_build_object('blocked', block_as_json(until, reason))",
    from: "previous",
  }),
  events: `${eventRow("page.hidden", { page: "id", data: BLOCKED, from: "turns" })} union all ${
    replyAudienceEvents("turns")
  }`,
  select: "select turn, '{}'::jsonb as result from turns",
});

const FREE_PAGE = `${PREVIOUS_PAGE},
unblocked_pages as (
  update pages p set blocked_at = null, blocked_until = null, blocked_reason = null from previous t
  where p.id = t.id and t.blocked_until is not null
  returning p.id, t.at, p.owner_blocked_until)`;
const FREED_PAGE = {
  name: "uuid",
  before: PREVIOUS_BLOCK,
  after: NO_BLOCK,
  from: "previous where blocked_until is not null",
};
const FREED = "unblocked_pages where owner_blocked_until is null or owner_blocked_until <= now()";
const FREED_EVENTS = `${eventRow("page.shown", { page: "id", from: FREED })} union all ${replyAudienceEvents(FREED)}`;

export const unblockPage = defineCommit<{ id: string; at: string } & ByRow, Record<string, never>>("page.unblock", {
  columns: `id uuid, at timestamptz, ${BY_COLUMNS}`,
  body: FREE_PAGE,
  records: record("page.unblock", FREED_PAGE),
  events: FREED_EVENTS,
  select: "select turn, '{}'::jsonb as result from turns",
});

export const expirePageBlock = defineCommit<{ id: string; at: string }, Record<string, never>>("page.lapse_block", {
  columns: `id uuid, at timestamptz, ${BY_COLUMNS}`,
  body: FREE_PAGE,
  records: record("page.block_lapsed", FREED_PAGE),
  events: FREED_EVENTS,
  select: "select turn, '{}'::jsonb as result from turns",
});
