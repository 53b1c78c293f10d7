import { feedHead, feedPosts, feedPostsById } from "../db/feed.ts";
import { encodeCursor, listAbout } from "../contract/cursors.ts";
import type { PostRow } from "../db/posts.ts";
import type { Reader } from "../db/sql.ts";
import { renderPost } from "../contract/render.ts";
import type { FeedCommand, FeedCommands, FirstPage } from "./feed_commands.ts";
import { type ActorKind, type Decision, reply } from "./runtime/actor.ts";
import { dispatch, type Handlers } from "./runtime/commands.ts";
import type { SequencedEvent } from "../db/event.ts";

/** Posts cached by a feed, so that its first pages need no SQL (`docs/limits.md`). */
export const KEPT_POSTS = 40;
/** Changed posts that are read one by one. Beyond this the feed is read again. */
const MAX_STALE = 40;
/** A cached feed is read again after this time. */
const MAX_AGE_MS = 600_000;

interface Item {
  id: string;
  published_at: string;
  page_id: string;
  reply_to: string | null;
  reply_page_id: string | null;
  json: string;
}

interface Kept {
  pages: ReadonlySet<string>;
  /** Newest first by (published_at, id). */
  items: readonly Item[];
  /** Whether there are no posts beyond the items. */
  complete: boolean;
  /** Posts that were added or changed since the last read. */
  stale: ReadonlySet<string>;
  seq: number;
  at: number;
  watches: ReadonlySet<string>;
  /** First pages that are ready to send, by limit. */
  ready: Map<number, FirstPage>;
}

export interface FeedState {
  user: string;
  kept: Kept | null;
}

const HANDLERS: Handlers<FeedState, FeedCommands> = { first_page: first };

export const feedActor: ActorKind<FeedState, FeedCommand> = {
  name: "feed",
  handles: (type) => Object.hasOwn(HANDLERS, type),
  load: (_, id) => Promise.resolve({ user: id, kept: null }),
  decide: (state, command, now) => dispatch(HANDLERS, state, command, now),
  absorb,
  watches: (state) => state.kept?.watches ?? [],
};

function first(
  { user, kept }: FeedState,
  { limit, bypass }: { limit: number; bypass: boolean },
  now: number,
): Decision<FeedState, FirstPage> {
  if (kept && !bypass && now - kept.at < MAX_AGE_MS && limit <= KEPT_POSTS) {
    if (kept.stale.size === 0 && suffices(kept, limit)) return reply(firstPage(user, kept, limit));
    if (kept.stale.size > 0) {
      return {
        type: "read",
        run: async (sql) => {
          const fresh = merge(kept, await feedPostsById(sql, user, [...kept.stale]));
          const next = suffices(fresh, limit) ? fresh : await read(sql, user, KEPT_POSTS, now);
          return { state: { user, kept: next }, value: firstPage(user, next, limit) };
        },
      };
    }
  }
  return {
    type: "read",
    run: async (sql) => {
      const next = await read(sql, user, Math.max(KEPT_POSTS, limit), now);
      return { state: { user, kept: next }, value: firstPage(user, next, limit) };
    },
  };
}

function absorb(state: FeedState, event: SequencedEvent): FeedState {
  const { user, kept } = state;
  if (!kept) return state;
  if (event.user_id !== null && event.user_id !== user && event.kind !== "user.deleted") return state;
  const { post_id, page_id, seq } = event;
  switch (event.kind) {
    case "post.created":
      return post_id && page_id && kept.pages.has(page_id) ? { user, kept: outdated(kept, [post_id], seq) } : state;
    case "post.updated":
    case "post.liked":
    case "post.likes":
    case "replies.changed":
      return kept.items.some(({ id }) => id === post_id) ? { user, kept: outdated(kept, [post_id!], seq) } : state;
    case "post.deleted": {
      // A reply to it shows its original as unavailable from now on.
      const replies = kept.items.filter(({ reply_to }) => reply_to === post_id).map(({ id }) => id);
      const items = kept.items.filter(({ id }) => id !== post_id);
      if (items.length === kept.items.length && replies.length === 0) return state;
      return { user, kept: outdated({ ...kept, items }, replies, seq) };
    }
    default:
      return { user, kept: null };
  }
}

function outdated(kept: Kept, ids: readonly string[], seq: number): Kept | null {
  const stale = new Set([...kept.stale, ...ids]);
  return stale.size > MAX_STALE ? null : { ...kept, stale, seq, ready: new Map() };
}

async function read(sql: Reader, user: string, limit: number, now: number): Promise<Kept> {
  // Read before the posts: anything later arrives again as an event.
  const { seq, pages } = await feedHead(sql, user);
  const rows = await feedPosts(sql, user, { limit: limit + 1 });
  const items = rows.slice(0, limit).map(toItem);
  return {
    ...watched(new Set(pages), items),
    complete: rows.length <= limit,
    stale: new Set(),
    seq,
    at: now,
    ready: new Map(),
  };
}

/** Merges changed posts. Posts older than the cached ones stay out; deleted ones are removed. */
function merge(kept: Kept, rows: PostRow[]): Kept {
  const last = kept.items.at(-1);
  const fresh = rows.map(toItem).filter((item) => kept.complete || (last && compare(item, last) <= 0));
  const items = [...kept.items.filter(({ id }) => !kept.stale.has(id)), ...fresh].sort(compare);
  const cut = items.slice(0, KEPT_POSTS);
  return {
    ...kept,
    ...watched(kept.pages, cut),
    complete: kept.complete && cut.length === items.length,
    stale: new Set(),
    ready: new Map(),
  };
}

function watched(pages: ReadonlySet<string>, items: readonly Item[]): Pick<Kept, "pages" | "items" | "watches"> {
  const originals = items.flatMap(({ reply_page_id }) =>
    reply_page_id && !pages.has(reply_page_id) ? [reply_page_id] : []
  );
  return { pages, items, watches: originals.length > 0 ? new Set([...pages, ...originals]) : pages };
}

function suffices({ items, complete }: Kept, limit: number): boolean {
  return complete || items.length >= limit;
}

function compare(a: Item, b: Item): number {
  if (a.published_at !== b.published_at) return a.published_at < b.published_at ? 1 : -1;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

function toItem(row: PostRow): Item {
  const { id, page_id, reply_to, reply_page_id } = row;
  return {
    id,
    published_at: row.published_at!,
    page_id,
    reply_to,
    reply_page_id,
    json: JSON.stringify(renderPost(row)),
  };
}

function firstPage(user: string, kept: Kept, limit: number): FirstPage {
  const ready = kept.ready.get(limit);
  if (ready) return ready;
  const items = kept.items.slice(0, limit);
  const last = items.at(-1);
  const more = kept.items.length > limit || !kept.complete;
  const next_cursor = more && last ? encodeCursor(listAbout("feed", user), [last.published_at, last.id]) : null;
  const json = `"items":[${items.map((item) => item.json).join(",")}],"next_cursor":${JSON.stringify(next_cursor)}`;
  const page = { json, next_cursor, seq: kept.seq };
  kept.ready.set(limit, page);
  return page;
}
