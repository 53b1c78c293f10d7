import assert from "node:assert/strict";
import { Listener } from "../support/listener.ts";
import type { Json } from "../support/api.ts";
import { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { type Seeded, seededTest } from "../support/seeded.ts";

const READINGS = 70;

seededTest("Paging through an unchanged feed neither repeats nor skips posts", async (random) => {
  await using node = await NodeProcess.start();
  const [reader, ...authors] = await makePeople(node, 5) as [Person, ...Person[]];
  const pages = [reader, ...authors].map((owner) => ({ id: owner.page_id, owner }));
  for (const owner of [reader, ...authors]) {
    pages.push({ id: (await owner.do("POST", "/pages", { name: "another" })).id, owner });
  }
  for (const { id, owner } of pages) if (owner !== reader) await reader.do("PUT", `/pages/${id}/follow`);
  const changes = new Changes(random, pages, reader);
  for (let i = 0; i < 120; i++) await changes.publish();
  for (let reading = 0; reading < READINGS; reading++) await readThrough(reader, changes, random);
  assert.ok(changes.deleted.size > 20 && changes.texts.size > 180, "the feed changed meanwhile");
});

interface Page {
  id: string;
  owner: Person;
}

/** Changes during a read. */
class Changes {
  /** Posts with their latest text and their page. */
  readonly texts = new Map<string, string>();
  readonly pageOf = new Map<string, Page>();
  readonly deleted = new Set<string>();
  /** Pages followed or left since the read began: their posts may appear and disappear. */
  readonly moved = new Set<string>();
  /** An edit in progress: another change of the post could come before or after it. */
  #editing: string | undefined;
  #number = 0;

  constructor(private readonly random: Seeded, readonly pages: Page[], private readonly reader: Person) {}

  async publish(): Promise<void> {
    const page = this.random.pick(this.pages);
    const text = `text ${++this.#number}`;
    const { id } = await page.owner.post(text, {}, page.id);
    this.texts.set(id, text);
    this.pageOf.set(id, page);
  }

  async next(): Promise<void> {
    const { random } = this;
    const change = random.weighted({ publish: 10, edit: 4, remove: 3, follow: 2, unfollow: 1 });
    const id = random.pick([...this.texts.keys()].filter((id) => id !== this.#editing));
    const page = random.pick(this.pages.filter(({ owner }) => owner !== this.reader));
    const { owner } = this.pageOf.get(id)!;
    switch (change) {
      case "publish":
        return await this.publish();
      case "edit": {
        const text = `text ${++this.#number}`;
        this.#editing = id;
        await owner.do("PATCH", `/posts/${id}`, { text }).finally(() => this.#editing = undefined);
        return void this.texts.set(id, text);
      }
      case "remove":
        this.deleted.add(id);
        this.texts.delete(id);
        return await owner.do("DELETE", `/posts/${id}`);
      case "follow":
      case "unfollow":
        this.moved.add(page.id);
        return await this.reader.do(change === "follow" ? "PUT" : "DELETE", `/pages/${page.id}/follow`);
    }
  }
}

/** One read of the feed with its own limits, concurrent changes, and a listener from the position of the first page. */
async function readThrough(reader: Person, changes: Changes, random: Seeded): Promise<void> {
  changes.moved.clear();
  const known = new Set(changes.texts.keys());
  const first = await page(reader, random.pick([1, 2, 5, 20, 39, 40, 41, 100]), null);
  const items: Json[] = [...first.items];
  const listener = new Listener(reader);
  let listening: Promise<void> | undefined;
  for (let cursor = first.next_cursor; cursor !== null;) {
    const [next] = await Promise.all([
      page(reader, random.whole(1, 60), cursor),
      changes.next(),
      random.chance(0.5) ? changes.next() : undefined,
    ]);
    // Late on purpose: the listener has to catch up from the first page on.
    if (random.chance(0.3)) listening ??= listener.connect(first.live_cursor);
    items.push(...next.items);
    cursor = next.next_cursor;
  }
  await (listening ?? listener.connect(first.live_cursor));
  assertOrdered(items);
  const read = new Set<string>(items.map(({ id }) => id));
  assert.equal(read.size, items.length, "a post was repeated");
  const following = new Set<string>();
  for (let cursor: string | null = ""; cursor !== null;) {
    const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const body: Json = await reader.do("GET", `/users/me/following?limit=100${query}`);
    for (const { id } of body.items) following.add(id);
    cursor = body.next_cursor;
  }
  const stayed = (id: string) => {
    const { id: pageId, owner } = changes.pageOf.get(id)!;
    return !changes.moved.has(pageId) && (owner === reader || following.has(pageId));
  };
  const skipped = [...known].filter((id) => changes.texts.has(id) && stayed(id) && !read.has(id));
  assert.deepEqual(skipped, [], "a post that was there throughout was skipped");
  await assertNothingMissed(reader, changes, listener, items, stayed);
  listener.cut();
}

/** The read pages with the live frames on top equal the current feed, for pages that did not change. */
async function assertNothingMissed(
  reader: Person,
  changes: Changes,
  listener: Listener,
  items: Json[],
  stayed: (id: string) => boolean,
): Promise<void> {
  const mark = await reader.post("mark");
  changes.texts.set(mark.id, "mark");
  changes.pageOf.set(mark.id, changes.pages[0]!);
  await listener.heard("the mark", ({ data }) => data.id === mark.id);
  const shown = new Map<string, string>(items.map(({ id, text }) => [id, text]));
  for (const { type, data } of listener.events) {
    if (type === "post.created" || type === "post.updated") shown.set(data.id, data.text);
    if (type === "post.deleted") shown.delete(data.id);
  }
  const expected = [...changes.texts].filter(([id]) => stayed(id)).sort();
  assert.deepEqual(
    [...shown].filter(([id]) => stayed(id)).sort(),
    expected,
    "read pages and live frames equal the feed",
  );
}

function assertOrdered(items: readonly Json[]): void {
  for (const [i, item] of items.entries()) {
    const before = items[i - 1];
    if (!before) continue;
    const later = before.published_at > item.published_at ||
      (before.published_at === item.published_at && before.id > item.id);
    assert.ok(later, `${item.id} of ${item.published_at} came after ${before.id} of ${before.published_at}`);
  }
}

async function page(reader: Person, limit: number, cursor: string | null): Promise<Json> {
  const body = await reader.do("GET", `/feed?limit=${limit}${cursor === null ? "" : `&cursor=${cursor}`}`);
  assert.ok(body.items.length <= limit);
  assert.ok(body.next_cursor === null || body.items.length === limit, "a page that is not the last is full");
  return body;
}
