import { defineCommit, eventRow } from "./turn_statement.ts";
import { ACCEPTED } from "./follows.ts";
import { replyAudienceEvents, replyEvents } from "./publishing.ts";
import { foldHandle } from "../lib/folding.ts";
import type { Reader, Writer } from "./sql.ts";
import { CARD, type CardRow } from "./users.ts";
import type { After } from "./keyset.ts";

export interface PageRow {
  id: string;
  uuid: string;
  name: string;
  description: string;
  tags: string[];
  is_private: boolean;
  is_personal: boolean;
  blocked_until: string | null;
  blocked_reason: string | null;
  owner_blocked_until: string | null;
  created_at: string;
  avatar_key: string | null;
  owner: CardRow;
}

export interface ShownPageRow extends PageRow {
  follower_count: number;
  post_count: number;
  follow_state: "following" | "requested" | "none";
}

const COLUMNS =
  `p.id, p.uuid, p.name, p.description, p.tags, p.is_private, p.is_personal, p.blocked_until, p.blocked_reason,
  p.owner_blocked_until, p.created_at, p.avatar_key, ${CARD} as owner`;
/** A page for the viewer $1, of `pages p` and its owner `users u`. */
export const SHOWN = `${COLUMNS}, p.follower_count, p.post_count,
  coalesce((select f.state from follows f where f.page_id = p.id and f.user_id = $1), 'none') as follow_state`;

/** The state of a page actor; undefined if the page does not exist or was deleted. */
export async function loadPageActor(sql: Reader, id: string): Promise<PageRow | undefined> {
  const [row] = await sql.query<PageRow>(
    `select ${COLUMNS} from pages p join users u on u.id = p.owner_id where p.id = $1 and p.deleted_at is null`,
    [id],
    "page.load",
  );
  return row;
}

export async function pageById(sql: Reader, viewer: string, id: string): Promise<ShownPageRow | undefined> {
  const [row] = await sql.query<ShownPageRow>(
    `select ${SHOWN} from pages p join users u on u.id = p.owner_id where p.id = $2 and p.deleted_at is null`,
    [viewer, id],
    "page.by_id",
  );
  return row;
}

/** A page in the frame that reports its change. */
export type LivePageRow = Pick<PageRow, "id" | "uuid" | "name" | "avatar_key" | "owner">;

/** The current state of the pages of events; deleted ones are missing. */
export async function livePages(sql: Reader, ids: readonly string[]): Promise<Map<string, LivePageRow>> {
  const rows = await sql.query<LivePageRow>(
    `select p.id, p.uuid, p.name, p.avatar_key, ${CARD} as owner from pages p join users u on u.id = p.owner_id
    where p.id = any($1::uuid[]) and p.deleted_at is null`,
    [[...ids]],
    "page.live",
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** Handles are unique regardless of case. A former handle leads to its page as long as it is kept. */
export async function pageIdByHandle(sql: Reader, handle: string): Promise<string | undefined> {
  const [row] = await sql.query<{ id: string }>(
    `select id from (
      select p.id, 0 as rank from pages p where lower(p.uuid) = $1 and p.deleted_at is null
      union all
      select p.id, 1 from old_handles o join pages p on p.id = o.page_id
      where o.handle = $1 and o.expires_at > now() and p.deleted_at is null) f
    order by rank limit 1`,
    [foldHandle(handle) ?? ""],
    "page.id_by_handle",
  );
  return row?.id;
}

/** A person's pages, newest first; blocked ones only for those who may see them. */
export async function pagesOf(
  sql: Reader,
  viewer: string,
  { owner, withBlocked, limit, after }: {
    owner: string;
    withBlocked: boolean;
    limit: number;
    after?: After | undefined;
  },
): Promise<ShownPageRow[]> {
  return await sql.query<ShownPageRow>(
    `select ${SHOWN} from pages p join users u on u.id = p.owner_id
    where p.owner_id = $2 and p.deleted_at is null
      and ($3 or coalesce(greatest(p.blocked_until, p.owner_blocked_until), '-infinity') <= now())
      and ($4::timestamptz is null or (p.created_at, p.id) < ($4::timestamptz, $5::uuid))
    order by p.created_at desc, p.id desc limit $6`,
    [viewer, owner, withBlocked, after?.at ?? null, after?.id ?? null, limit],
    "page.of_owner",
  );
}

/** Pages that a person follows, or requested to follow, latest first. */
export async function followedPages(
  sql: Reader,
  viewer: string,
  { state, limit, after }: { state: "following" | "requested"; limit: number; after?: After | undefined },
): Promise<(ShownPageRow & { followed_at: string })[]> {
  return await sql.query(
    `select ${SHOWN}, w.created_at as followed_at from follows w join pages p on p.id = w.page_id
      join users u on u.id = p.owner_id
    where w.user_id = $1 and w.state = $2 and p.deleted_at is null
      and ($3::timestamptz is null or (w.created_at, w.page_id) < ($3::timestamptz, $4::uuid))
    order by w.created_at desc, w.page_id desc limit $5`,
    [viewer, state, after?.at ?? null, after?.id ?? null, limit],
    "page.followed",
  );
}

export async function maySeePosts(sql: Reader, viewer: string, pageId: string): Promise<boolean> {
  return (await sql.query("select 1 from visible_pages($1) where id = $2", [viewer, pageId], "page.may_see_posts"))
    .length > 0;
}

/** Logins stay reserved for their owners, whatever their pages are called. */
const IS_LOGIN = (handle: string) => `exists (select from users l where lower(l.login) = lower(${handle}))`;
/** A handle is taken, unless it is the login of the owner and none of the owner's pages has or keeps it. */
const TAKEN = (owner: string) =>
  `exists (select from handles h where h.handle = lower(t.uuid) and not (h.user_id = ${owner} and ${IS_LOGIN("t.uuid")}
    and not exists (select from pages o where lower(o.uuid) = lower(t.uuid) and o.deleted_at is null)
    and not exists (select from old_handles o where o.handle = h.handle)))`;
/** Handles released in one batch. */
const OLD_HANDLES_BATCH = 1_000;
/** How long a page keeps a former handle (`docs/limits.md`). */
export const OLD_HANDLE_DAYS = 30;
/** How many former handles a page keeps. Beyond this the oldest are released at once (`docs/limits.md`). */
export const MAX_OLD_HANDLES = 5;

export interface CreatePageRow {
  id: string;
  owner_id: string;
  uuid: string;
  name: string;
  description: string;
  tags: string[];
  is_private: boolean;
  at: string;
}

export const createPage = defineCommit<CreatePageRow, { taken: boolean; owner: CardRow | null }>("page.create", {
  columns:
    "id uuid, owner_id uuid, uuid text, name text, description text, tags text[], is_private boolean, at timestamptz",
  body: `availability as materialized (
  select t.turn, ${TAKEN("t.owner_id")} as taken,
    (select ${CARD} from users u where u.id = t.owner_id) as owner
  from turns t),
valid_pages as materialized (select t.* from turns t join availability k on k.turn = t.turn
  where not k.taken and k.owner is not null),
new_handles as (
  insert into handles (handle, user_id) select lower(t.uuid), t.owner_id from valid_pages t where not ${
    IS_LOGIN("t.uuid")
  }),
new_pages as (
  insert into pages (id, owner_id, uuid, name, description, tags, is_private, created_at)
  select id, owner_id, uuid, name, description, tags, is_private, at from valid_pages)`,
  events: eventRow("follow.changed", {
    page: "id",
    user: "owner_id",
    data: `'{"state": "own"}'::jsonb`,
    from: "valid_pages",
  }),
  select: "select turn, jsonb_build_object('taken', taken, 'owner', owner) as result from availability",
  refused: "(a.result->>'taken')::boolean or a.result->>'owner' is null",
  violations: {
    // The first try of a repeated request was written after all; its receipt has the result.
    pages_pkey: "idempotency-key-running",
    handles_pkey: "uuid-taken",
    pages_uuid: "uuid-taken",
    pages_owner_id_fkey: "not-found",
  },
});

export interface UpdatePageRow {
  id: string;
  owner_id: string;
  uuid: string;
  old_uuid: string;
  name: string;
  description: string;
  tags: string[];
  is_private: boolean;
  was_private: boolean;
  at: string;
}

/** Private → public accepts pending requests; public → private keeps the followers. */
export const updatePage = defineCommit<UpdatePageRow, { taken: boolean }>("page.update", {
  columns:
    `id uuid, owner_id uuid, uuid text, old_uuid text, name text, description text, tags text[], is_private boolean,
    was_private boolean, at timestamptz`,
  // A former handle of the page is its own: locked, since it may be released at this moment.
  body: `own_handles as materialized (
  select o.handle, t.turn from old_handles o join turns t on o.page_id = t.id and o.handle = lower(t.uuid)
    for update of o),
availability as materialized (
  select t.turn, lower(t.uuid) <> lower(t.old_uuid)
    and not exists (select from own_handles where own_handles.turn = t.turn)
    and ${TAKEN("t.owner_id")} as taken from turns t),
valid_changes as materialized (
  select t.*, lower(t.uuid) <> lower(t.old_uuid) as renamed from turns t join availability k on k.turn = t.turn
    where not k.taken),
new_handles as (
  insert into handles (handle, user_id) select lower(t.uuid), t.owner_id from valid_changes t
  where t.renamed and not ${
    IS_LOGIN("t.uuid")
  } and not exists (select from own_handles where own_handles.turn = t.turn)),
resumed_handles as (
  delete from old_handles o using own_handles join valid_changes t on t.turn = own_handles.turn
    where o.handle = own_handles.handle and t.renamed),
kept_handles as (
  insert into old_handles (handle, page_id, expires_at)
  select h.handle, t.id, t.at + interval '${OLD_HANDLE_DAYS} days' from valid_changes t
    join handles h on h.handle = lower(t.old_uuid)
  where t.renamed
  on conflict (handle) do update set page_id = excluded.page_id, expires_at = excluded.expires_at),
surplus_handles as materialized (
  select o.handle from valid_changes t cross join lateral (
    select o.handle from old_handles o
    where o.page_id = t.id and o.handle not in (lower(t.uuid), lower(t.old_uuid))
    -- The handle that is kept from now on is not among them.
    order by o.expires_at desc, o.handle offset ${MAX_OLD_HANDLES - 1}) o
  where t.renamed),
released_handles as (delete from old_handles o using surplus_handles s where o.handle = s.handle returning o.handle),
deleted_handles as (delete from handles h using released_handles k where h.handle = k.handle and not ${
    IS_LOGIN("h.handle")
  }),
accepted_requests as (
  update follows f set state = 'following', created_at = t.at from valid_changes t
  where t.was_private and not t.is_private and f.page_id = t.id and f.state = 'requested'
  returning f.page_id, f.user_id, t.at),
changed_pages as (
  update pages p set uuid = t.uuid, name = t.name, description = t.description, tags = t.tags,
    is_private = t.is_private,
    follower_count = p.follower_count + (select count(*) from accepted_requests a where a.page_id = p.id),
    request_count = p.request_count - (select count(*) from accepted_requests a where a.page_id = p.id)
  from valid_changes t where p.id = t.id)`,
  events: [
    eventRow("follow.changed", {
      page: "page_id",
      user: "user_id",
      data: ACCEPTED,
      from: "accepted_requests",
    }),
    eventRow("page.updated", { rank: 2, page: "id", from: "valid_changes" }),
    eventRow("page.hidden", {
      rank: 3,
      page: "id",
      data: `'{"reason": "private"}'::jsonb`,
      from: "valid_changes where is_private and not was_private",
    }),
    eventRow("page.shown", { rank: 3, page: "id", from: "valid_changes where was_private and not is_private" }),
    replyAudienceEvents("valid_changes where was_private <> is_private"),
  ].join(" union all "),
  select: "select turn, jsonb_build_object('taken', taken) as result from availability",
  // The last one if the old handle of a page renamed before is released at this moment.
  violations: { handles_pkey: "uuid-taken", pages_uuid: "uuid-taken", old_handles_handle_fkey: "uuid-taken" },
});

/** Releases handles that pages have kept long enough, in a limited batch; returns the number. */
export async function pruneOldHandles(sql: Writer): Promise<number> {
  const rows = await sql.execute(
    `with due_handles as materialized (
      select handle from old_handles where expires_at <= now() order by expires_at limit ${OLD_HANDLES_BATCH}
        for update skip locked),
    expired_handles as (delete from old_handles o using due_handles d where o.handle = d.handle returning o.handle)
    delete from handles h using expired_handles e where h.handle = e.handle and not ${
      IS_LOGIN("h.handle")
    } returning h.handle`,
    [],
    "page.prune_old_handles",
  );
  return rows.length;
}

/** A tombstone with its followers stays, to notify them. Posts and handle are deleted. */
export const deletePage = defineCommit<{ id: string; at: string }, Record<string, never>>("page.delete", {
  columns: "id uuid, at timestamptz",
  body: `answered_posts as materialized (
  select r.reply_to as post_id, count(*) as n, array_agg(distinct r.page_id) as via from posts r
    join turns t on r.page_id = t.id
  where r.reply_to is not null and r.state = 'ready' group by r.reply_to),
locked_posts as materialized (select p.id from posts p where p.id in (select post_id from answered_posts)
  order by p.id for update),
recounted_posts as (
  update posts p set reply_count = p.reply_count - a.n from answered_posts a join locked_posts k on k.id = a.post_id
  where p.id = a.post_id and p.page_id not in (select id from turns) returning p.id, p.page_id, -a.n as replies, a.via),
deleted_posts as (delete from posts p using turns t where p.page_id = t.id),
tombstones as (update pages p set deleted_at = t.at, avatar_key = null from turns t
  where p.id = t.id returning p.id, p.uuid),
deleted_photos as (delete from photos f using tombstones b where f.page_id = b.id),
released_handles as (delete from old_handles o using tombstones b where o.page_id = b.id returning o.handle),
deleted_handles as (
  delete from handles h where not ${IS_LOGIN("h.handle")}
    and h.handle in (select lower(uuid) from tombstones union select handle from released_handles))`,
  events: `${
    eventRow("page.hidden", { page: "id", data: `'{"reason": "deleted"}'::jsonb`, from: "turns" })
  } union all ${replyEvents("recounted_posts")}`,
  select: "select turn, '{}'::jsonb as result from turns",
});
