import assert from "node:assert/strict";
import { feedActor, type FeedState, KEPT_POSTS } from "../../actors/feed.ts";
import type { FeedCommand, FirstPage } from "../../actors/feed_commands.ts";
import type { EventKind, SequencedEvent } from "../../db/event.ts";
import type { PostRow } from "../../db/posts.ts";
import type { Reader } from "../../db/sql.ts";
import { word } from "../support/decisions.ts";

const NOW = Date.parse("2026-01-31T12:00:00.000Z");
const ME = "me";
const FIRST: FeedCommand = { type: "first_page", limit: 20, bypass: false };

/** The newest post has the greatest number. */
function post(n: number, fields: Partial<PostRow> = {}): PostRow {
  const published_at = new Date(NOW - 1_000_000 + n * 1_000).toISOString();
  return {
    id: `post${String(n).padStart(3, "0")}`,
    page_id: "page",
    page_uuid: "birds",
    page_name: "Birds",
    author: { id: "a", login: "ada", first_name: "Ada", last_name: "Lovelace", page_id: "page", avatar_key: null },
    page_avatar_key: null,
    text: "Hello",
    photos: [],
    tagged_users: [],
    place: null,
    reply_to: null,
    reply_page_id: null,
    reply_visible: false,
    like_count: 0,
    reply_count: 0,
    liked: false,
    state: "ready",
    published_at,
    created_at: published_at,
    updated_at: published_at,
    ...fields,
  };
}

/** Answers the three reads of a feed from these posts, and counts the reads. */
class FakeReader implements Reader {
  asked: string[] = [];
  seq = 7;
  constructor(public posts: PostRow[], public pages = ["page", "own"]) {}
  query<Row>(text: string, params: readonly unknown[] = [], name = text): Promise<Row[]> {
    this.asked.push(name);
    const newest = [...this.posts].sort((a, b) => (a.id < b.id ? 1 : -1));
    const ids = params.find((param) => Array.isArray(param)) as string[] | undefined;
    const limit = params.find((param) => typeof param === "number") as number | undefined;
    const rows = /head/.test(name)
      ? [{ seq: this.seq, pages: this.pages }]
      : ids
      ? newest.filter(({ id }) => ids.includes(id))
      : newest.slice(0, limit);
    return Promise.resolve(rows as Row[]);
  }
}

async function asked(state: FeedState, command: FeedCommand, sql: Reader, now = NOW) {
  const decision = feedActor.decide(state, command, now);
  if (decision.type === "reply") return { state, page: decision.value as FirstPage, kind: "reply" };
  assert.ok(decision.type === "read", word(decision));
  const read = await decision.run(sql);
  assert.ok("value" in read);
  const { state: next, value } = read;
  return { state: next, page: value as FirstPage, kind: "read" };
}

const idsOf = (page: FirstPage): string[] =>
  JSON.parse(`{${page.json}}`).items.map(({ id }: { id: string }) => Number(id.slice(4)));
const event = (kind: EventKind, fields: Partial<SequencedEvent> = {}): SequencedEvent =>
  ({ seq: 8, kind, page_id: "page", post_id: null, user_id: null, data: null, ...fields }) as SequencedEvent;
const absorb = (state: FeedState, event: SequencedEvent) => {
  const next = feedActor.absorb!(state, event);
  assert.ok(next !== "drop");
  return next;
};

async function loaded(count = 3, fields: Partial<PostRow> = {}) {
  const sql = new FakeReader(Array.from({ length: count }, (_, i) => post(i + 1, fields)));
  const { state } = await asked({ user: ME, kept: null }, FIRST, sql);
  sql.asked.length = 0;
  return { sql, state };
}

Deno.test("FeedActor reads once, and serves the first page from memory from then on", async () => {
  const { sql, state } = await loaded();
  const { page, kind } = await asked(state, FIRST, sql);
  assert.equal(kind, "reply");
  assert.deepEqual(sql.asked, []);
  assert.deepEqual(idsOf(page), [3, 2, 1]);
  assert.deepEqual([page.next_cursor, page.seq], [null, 7]);
});

Deno.test("FeedActor reads again when its cache is not enough", async () => {
  const { sql, state } = await loaded(KEPT_POSTS + 5);
  const kind = async (command: FeedCommand, now = NOW) => (await asked(state, command, sql, now)).kind;
  assert.equal(await kind({ ...FIRST, limit: KEPT_POSTS }), "reply");
  assert.equal(await kind({ ...FIRST, limit: KEPT_POSTS + 1 }), "read");
  assert.equal(await kind({ ...FIRST, bypass: true }), "read");
  assert.equal(await kind(FIRST, NOW + 599_999), "reply");
  assert.equal(await kind(FIRST, NOW + 600_000), "read");
});

Deno.test("FeedActor's first page ends with a cursor exactly if there is more", async () => {
  const { sql, state } = await loaded(5);
  const cursor = async (limit: number) => (await asked(state, { ...FIRST, limit }, sql)).page.next_cursor;
  assert.ok(await cursor(4));
  assert.equal(await cursor(5), null);
  const many = await loaded(KEPT_POSTS + 1);
  assert.ok((await asked(many.state, { ...FIRST, limit: KEPT_POSTS }, many.sql)).page.next_cursor);
});

Deno.test("FeedActor adds a new post by reading that post only", async () => {
  const { sql, state } = await loaded();
  sql.posts.push(post(4));
  const changed = absorb(state, event("post.created", { post_id: "post004" }));
  const { page, kind, state: after } = await asked(changed, FIRST, sql);
  assert.deepEqual([kind, idsOf(page), page.seq], ["read", [4, 3, 2, 1], 8]);
  assert.equal(sql.asked.length, 1);
  assert.equal((await asked(after, FIRST, sql)).kind, "reply");
});

Deno.test("FeedActor shows an edited post's new text, and drops one that is no longer visible", async () => {
  const { sql, state } = await loaded();
  sql.posts[1] = post(2, { text: "Edited" });
  const edited = await asked(absorb(state, event("post.updated", { post_id: "post002" })), FIRST, sql);
  assert.match(edited.page.json, /Edited/);
  sql.posts.splice(1, 1);
  const gone = await asked(absorb(edited.state, event("post.likes", { post_id: "post002" })), FIRST, sql);
  assert.deepEqual(idsOf(gone.page), [3, 1]);
});

Deno.test("FeedActor removes a deleted post without a read, and reads the replies to it again", async () => {
  const { sql, state } = await loaded();
  const changed = absorb(state, event("post.deleted", { post_id: "post002" }));
  const { page, kind } = await asked(changed, FIRST, sql);
  assert.deepEqual([kind, idsOf(page), page.seq], ["reply", [3, 1], 8]);

  const replies = await loaded(1, { reply_to: "original", reply_page_id: "elsewhere", reply_visible: true });
  const after = absorb(replies.state, event("post.deleted", { post_id: "original", page_id: "elsewhere" }));
  replies.sql.posts[0] = post(1, { reply_to: "original" });
  const read = await asked(after, FIRST, replies.sql);
  assert.equal(read.kind, "read");
  assert.match(read.page.json, /"unavailable"/);
});

Deno.test("FeedActor watches its pages, and those of its posts' originals", async () => {
  const { state } = await loaded();
  assert.deepEqual(new Set(feedActor.watches!(state)), new Set(["page", "own"]));
  const replies = await loaded(1, { reply_to: "original", reply_page_id: "elsewhere" });
  assert.deepEqual(new Set(feedActor.watches!(replies.state)), new Set(["page", "own", "elsewhere"]));
  assert.deepEqual([...feedActor.watches!({ user: ME, kept: null })], []);
});

/** Events that leave the same state object. */
const UNCONCERNED: [string, SequencedEvent][] = [
  ["a post on a page that is only watched", event("post.created", { post_id: "x", page_id: "elsewhere" })],
  ["an edit of a post it does not keep", event("post.updated", { post_id: "x" })],
  ["likes of a post it does not keep", event("post.likes", { post_id: "x" })],
  ["a deletion of a post it does not keep", event("post.deleted", { post_id: "x" })],
  ["a follow of another person", event("follow.changed", { user_id: "other" })],
  ["a page hidden from another person", event("page.hidden", { user_id: "other" })],
];
for (const [what, event] of UNCONCERNED) {
  Deno.test(`FeedActor ignores ${what}`, async () => {
    const { state } = await loaded();
    assert.equal(absorb(state, event), state);
  });
}

/** Events that can change visibility: the feed is read again. */
const CHANGES: [string, SequencedEvent][] = [
  ["a follow of the person", event("follow.changed", { user_id: ME })],
  ["a page hidden from all", event("page.hidden")],
  ["a page hidden from the person", event("page.hidden", { user_id: ME })],
  ["a page shown again", event("page.shown")],
  ["a page with another name", event("page.updated")],
  ["a deleted account", event("user.deleted", { page_id: null, user_id: "other" })],
];
for (const [what, event] of CHANGES) {
  Deno.test(`FeedActor reads again after ${what}`, async () => {
    const { sql, state } = await loaded();
    const { kind } = await asked(absorb(state, event), FIRST, sql);
    assert.deepEqual([kind, sql.asked.length], ["read", 2]);
  });
}

Deno.test("FeedActor reads its feed again instead of many single posts", async () => {
  const { sql, state } = await loaded();
  let changed = state;
  for (let i = 0; i < 41; i++) changed = absorb(changed, event("post.created", { post_id: `new${i}` }));
  assert.equal(changed.kept, null);
  await asked(changed, FIRST, sql);
  assert.equal(sql.asked.length, 2);
});

Deno.test("FeedActor caches a bounded number of posts", async () => {
  const { sql, state } = await loaded(KEPT_POSTS);
  sql.posts.push(post(KEPT_POSTS + 1));
  const changed = absorb(state, event("post.created", { post_id: `post0${KEPT_POSTS + 1}` }));
  const { state: after } = await asked(changed, FIRST, sql);
  assert.equal(after.kept!.items.length, KEPT_POSTS);
  // The oldest was evicted, so the end of the cache is no longer the end of the feed.
  assert.ok((await asked(after, { ...FIRST, limit: KEPT_POSTS }, sql)).page.next_cursor);
});

Deno.test("FeedActor shows the own like at once, if the post is cached", async () => {
  const { sql, state } = await loaded();
  assert.equal(absorb(state, event("post.liked", { user_id: ME, post_id: "x" })), state);
  assert.equal(absorb(state, event("post.liked", { user_id: "ada", post_id: "post002" })), state);
  sql.posts[1] = post(2, { liked: true, like_count: 1 });
  const { page } = await asked(absorb(state, event("post.liked", { user_id: ME, post_id: "post002" })), FIRST, sql);
  const { items } = JSON.parse(`{${page.json}}`);
  assert.deepEqual(items.map(({ liked }: { liked: boolean }) => liked), [false, true, false]);
  assert.equal(page.seq, 8);
});
