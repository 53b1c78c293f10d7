import { defineCommit, eventRow } from "./turn_statement.ts";
import { LETTER_JOB } from "./letters.ts";
import { ENDED } from "./follows.ts";
import { BY_COLUMNS, type ByRow, record } from "./moderation_log.ts";
import { replyAudienceEvents, replyEvents } from "./publishing.ts";
import type { Reader } from "./sql.ts";
import type { AccountRole } from "./account_role.ts";

const BLOCKED = `'{"reason": "blocked"}'::jsonb`;
const DELETED = `'{"reason": "deleted"}'::jsonb`;

/**
 * What of these turns would leave the installation without an administrator who can sign in. Their rows are locked, in one order, and
 * looked at as they are then: acts on two of them at once, in one statement or in two, must not each count on the other.
 */
const lastAdmin = (removes = "true") =>
  `admins as materialized (
  select u.id from users u
  where u.role = 'admin' and (u.blocked_until is null or u.blocked_until <= now())
    and exists (select from turns t join users x on x.id = t.id where x.role = 'admin')
  order by u.id for no key update),
removing as materialized (
  select t.turn, row_number() over (order by t.turn) as place from turns t join admins a on a.id = t.id where ${removes}),
guarded as materialized (
  select t.*, coalesce(r.place >= (select count(*) from admins), false) as last_admin
  from turns t left join removing r on r.turn = t.turn)`;

/** The account as it was: what a statement changes it shows no more. */
const USER_WAS = `was as materialized (
  select t.*, u.login, u.role as old_role, u.blocked_until, u.blocked_reason from guarded t join users u on u.id = t.id
  where not t.last_admin order by u.id for no key update of u)`;
const BLOCK_WAS = "jsonb_build_object('blocked', block_as_json(blocked_until, blocked_reason))";
const NO_BLOCK = `'{"blocked": null}'::jsonb`;

/** For the account's actor, where it did not write that itself: the operator has no account. */
const CHANGED_EVENTS = eventRow("account.changed", { user: "id", from: "was where by_id is null" });

export const setRole = defineCommit<{ id: string; role: AccountRole; at: string } & ByRow, { last_admin: boolean }>(
  "user.set_role",
  {
    columns: `id uuid, role text, at timestamptz, ${BY_COLUMNS}`,
    body: `${lastAdmin("t.role <> 'admin'")},
${USER_WAS},
changed as (update users u set role = w.role from was w where u.id = w.id)`,
    records: record("account.role", {
      name: "login",
      before: "jsonb_build_object('role', old_role)",
      after: "jsonb_build_object('role', role)",
      from: "was where role <> old_role",
    }),
    events: CHANGED_EVENTS,
    select: "select turn, jsonb_build_object('last_admin', last_admin) as result from guarded",
  },
);

/** A password that its owner did not choose; ends the session, and tells the owner by letter. */
export const givePassword = defineCommit<
  { id: string; password_hash: string; job: string; at: string } & ByRow,
  object
>(
  "user.give_password",
  {
    columns: `id uuid, password_hash text, job uuid, at timestamptz, ${BY_COLUMNS}`,
    body: `was as materialized (
  select t.*, u.login, u.email, u.email_verified_at from turns t join users u on u.id = t.id order by u.id for no key update of u),
changed as (
  update users u set password_hash = w.password_hash, password_version = u.password_version + 1,
    verify_nonce = null, verify_expires_at = null, verify_attempts = 0, recover_nonce = null, recover_expires_at = null,
    mailbox_mark = null
  from was w where u.id = w.id),
ended as (
  update sessions s set ended_at = w.at, end_reason = 'session-ended' from was w where s.user_id = w.id and s.ended_at is null),
noticed as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, '${LETTER_JOB}', jsonb_build_object('user_id', id, 'to', email,
    'notice', jsonb_build_object('notice', 'password_changed', 'at', at)), at, id from was where email_verified_at is not null)`,
    records: record("account.password", { name: "login", from: "was" }),
    events: CHANGED_EVENTS,
    select: "select turn, '{}'::jsonb as result from was",
  },
);

export interface BlockRow extends ByRow {
  id: string;
  until: string;
  /** The job that tells of the block's end. */
  job: string;
  at: string;
}
const BLOCK_COLUMNS = `id uuid, until timestamptz, job uuid, at timestamptz, ${BY_COLUMNS}`;

/** Blocks the account, ends its session and hides its pages; their own blocks stay what they are. */
export const blockUser = defineCommit<BlockRow, { last_admin: boolean }>("user.block", {
  columns: BLOCK_COLUMNS,
  body: `${lastAdmin()},
${USER_WAS},
blocked as (
  update users u set blocked_at = t.at, blocked_until = t.until, blocked_reason = t.reason from was t where u.id = t.id),
ended as (
  update sessions s set ended_at = t.at, end_reason = 'session-ended' from was t
  where s.user_id = t.id and s.ended_at is null),
scheduled as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, 'user.block_lapsed', jsonb_build_object('user_id', id), until, id from was where until < 'infinity'),
hidden as (
  update pages p set owner_blocked_until = t.until from was t
  where p.owner_id = t.id and p.deleted_at is null returning p.id, t.at)`,
  records: record("account.block", {
    name: "login",
    before: BLOCK_WAS,
    after: "jsonb_build_object('blocked', block_as_json(until, reason))",
    from: "was",
  }),
  events: `${eventRow("page.hidden", { page: "id", data: BLOCKED, from: "hidden" })} union all ${
    replyAudienceEvents("hidden")
  }`,
  select: "select turn, jsonb_build_object('last_admin', last_admin) as result from guarded",
});

/** Ends the account's block and shows the pages again that nothing else hides. */
const FREE_USER = `was as materialized (
  select t.*, u.login, u.blocked_until, u.blocked_reason from turns t join users u on u.id = t.id
  where u.blocked_until is not null order by u.id for no key update of u),
freed as (
  update users u set blocked_at = null, blocked_until = null, blocked_reason = null from was w where u.id = w.id),
shown as (
  update pages p set owner_blocked_until = null from turns t
  where p.owner_id = t.id and p.owner_blocked_until is not null and p.deleted_at is null
  returning p.id, t.at, p.blocked_until)`;
const SHOWN = "shown where blocked_until is null or blocked_until <= now()";
const SHOWN_EVENTS = `${eventRow("page.shown", { page: "id", from: SHOWN })} union all ${replyAudienceEvents(SHOWN)}`;
const FREED_USER = { name: "login", before: BLOCK_WAS, after: NO_BLOCK, from: "was" };

export const unblockUser = defineCommit<{ id: string; at: string } & ByRow, Record<string, never>>("user.unblock", {
  columns: `id uuid, at timestamptz, ${BY_COLUMNS}`,
  body: `${FREE_USER},
unscheduled as (delete from jobs j using turns t where j.user_id = t.id and j.kind = 'user.block_lapsed')`,
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
 * Deletes an account with everything it owns: pages become tombstones without an owner, their posts go, likes and follows
 * go with their counts, its letters go from the bundled mailbox, login and e-mail are free again (S4-12).
 */
export const deleteUser = defineCommit<{ id: string; at: string } & ByRow, { last_admin: boolean }>("user.delete", {
  columns: `id uuid, at timestamptz, ${BY_COLUMNS}`,
  body: `${lastAdmin()},
-- Accounts, then pages, then posts, then the sequencer: whoever takes several kinds takes them so, and each kind by its ids.
gone as materialized (
  select g.* from guarded g join users u on u.id = g.id where not g.last_admin order by g.id for update of u),
listed as materialized (
  select g.*, u.login, jsonb_build_object('login', u.login, 'role', u.role, 'created_at', u.created_at,
      'blocked', block_as_json(u.blocked_until, u.blocked_reason),
      'pages', (select count(*) from pages p where p.owner_id = u.id and p.deleted_at is null),
      'posts', (select count(*) from posts x join pages p on p.id = x.page_id where p.owner_id = u.id)) as was
  from gone g join users u on u.id = g.id),
touched as materialized (
  select p.id from pages p
  where p.id in (
    select o.id from pages o join gone g on g.id = o.owner_id
    union select f.page_id from follows f join gone g on g.id = f.user_id)
  order by p.id for no key update),
own as materialized (
  select p.id, g.at from pages p join gone g on p.owner_id = g.id where p.id in (select id from touched)),
unliked as materialized (
  select l.post_id, count(*) as n from likes l join gone g on l.user_id = g.id group by l.post_id),
locked as materialized (
  select p.id from posts p
  where p.id in (
    select post_id from unliked
    union select r.reply_to from posts r join own on own.id = r.page_id where r.reply_to is not null)
  order by p.id for update),
answered as (
  select r.reply_to as post_id, count(*) as n, array_agg(distinct r.page_id) as via from posts r join own on own.id = r.page_id
  where r.reply_to is not null and r.state = 'ready' group by r.reply_to),
recounted as (
  update posts p set like_count = p.like_count - coalesce(u.n, 0), reply_count = p.reply_count - coalesce(a.n, 0)
  from locked k left join unliked u on u.post_id = k.id left join answered a on a.post_id = k.id
  where p.id = k.id and p.page_id not in (select id from own) returning p.id, p.page_id, u.n, -a.n as replies, a.via),
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
removed as (delete from users u using gone g where u.id = g.id)`,
  // What goes by itself, unverified, is no act of moderation.
  records: record("account.delete", { name: "login", before: "was", from: "listed where by_id is not null" }),
  events: `${eventRow("page.hidden", { page: "id", data: DELETED, from: "own" })} union all ${
    eventRow("follow.changed", { page: "page_id", user: "user_id", data: ENDED, from: "leaving" })
  } union all ${eventRow("user.deleted", { rank: 2, user: "id", from: "gone" })} union all ${
    replyEvents("recounted where replies is not null")
  }`,
  select: "select turn, jsonb_build_object('last_admin', last_admin) as result from guarded",
});

/** What a block would touch. */
export interface Reach {
  pages: number;
  /** Published ones. */
  posts: number;
  /** People, each once. */
  followers: number;
}

export async function reachOfUserBlock(sql: Reader, id: string): Promise<Reach & { last_admin: boolean }> {
  const [row] = await sql.query<Reach & { last_admin: boolean }>(
    `with own as materialized (select p.id, p.post_count from pages p where p.owner_id = $1 and p.deleted_at is null)
    select (select count(*) from own) as pages, (select coalesce(sum(post_count), 0)::bigint from own) as posts,
      (select count(distinct f.user_id) from follows f join own on own.id = f.page_id where f.state = 'following') as followers,
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

const PAGE_WAS = `was as materialized (
  select t.*, p.uuid, p.blocked_until, p.blocked_reason from turns t join pages p on p.id = t.id
  order by p.id for no key update of p)`;

export const blockPage = defineCommit<BlockRow, Record<string, never>>("page.block", {
  columns: BLOCK_COLUMNS,
  body: `${PAGE_WAS},
blocked as (
  update pages p set blocked_at = t.at, blocked_until = t.until, blocked_reason = t.reason from was t where p.id = t.id),
scheduled as (
  insert into jobs (id, kind, payload, run_at)
  select job, 'page.block_lapsed', jsonb_build_object('page_id', id), until from turns where until < 'infinity')`,
  records: record("page.block", {
    name: "uuid",
    before: BLOCK_WAS,
    after: "jsonb_build_object('blocked', block_as_json(until, reason))",
    from: "was",
  }),
  events: `${eventRow("page.hidden", { page: "id", data: BLOCKED, from: "turns" })} union all ${
    replyAudienceEvents("turns")
  }`,
  select: "select turn, '{}'::jsonb as result from turns",
});

const FREE_PAGE = `${PAGE_WAS},
freed as (
  update pages p set blocked_at = null, blocked_until = null, blocked_reason = null from was t
  where p.id = t.id and t.blocked_until is not null
  returning p.id, t.at, p.owner_blocked_until)`;
const FREED_PAGE = { name: "uuid", before: BLOCK_WAS, after: NO_BLOCK, from: "was where blocked_until is not null" };
const FREED = "freed where owner_blocked_until is null or owner_blocked_until <= now()";
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
