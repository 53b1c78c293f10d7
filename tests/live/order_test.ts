import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";

const app = sharedApp();

Deno.test("Concurrent posts of several pages arrive in the order of the feed, by published_at and id", async () => {
  const [reader, ...writers] = await app.people(6);
  for (const { page_id } of writers) await app.follow(reader!, page_id);
  await using listener = await app.listen(reader!.token);
  await listener.next("hello");
  const original = await app.post(writers[0]!);
  const posts = await Promise.all(
    Array.from(
      { length: 120 },
      (_, i) => app.post(writers[i % writers.length]!, i % 4 === 0 ? { reply_to: original.id } : {}),
    ),
  );
  const heard: Json[] = [];
  while (heard.length < posts.length + 1) heard.push((await listener.next("post.created")).data);
  const feed: Json[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: Json = await app.ok("GET", `/feed?limit=7${cursor && `&cursor=${cursor}`}`, { token: reader!.token });
    feed.push(...page.items);
    cursor = page.next_cursor;
  }
  assert.deepEqual(heard.map(({ id }) => id).reverse(), feed.map(({ id }) => id));
  const times = feed.map(({ published_at }) => published_at);
  assert.deepEqual(times, times.toSorted().reverse());
  assert.equal(new Set(times).size, times.length, "two posts have the same published_at");
  const answered = new Map(posts.map(({ id, published_at }) => [id, published_at]));
  for (const { id, published_at } of feed) assert.equal(published_at, answered.get(id) ?? original.published_at);
});
