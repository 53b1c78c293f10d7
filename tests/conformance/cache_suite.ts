/** What every `Cache` driver must do (`lib/cache/cache.ts`). */
import assert from "node:assert/strict";
import type { Cache } from "../../lib/cache/cache.ts";
import { sleep } from "../../lib/sleep.ts";

export function cacheSuite(driver: string, open: () => Cache): void {
  // Connections close a moment after the test.
  const test = (name: string, run: (cache: Cache, key: string) => Promise<void>) =>
    Deno.test({
      name: `${driver}: ${name}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        await using cache = open();
        await run(cache, crypto.randomUUID());
      },
    });

  test("keeps a value for its lifetime", async (cache, key) => {
    assert.equal(await cache.get(key), null);
    assert.equal(await cache.set(key, "первый", 10_000), true);
    assert.equal(await cache.get(key), "первый");
    await cache.set(key, "второй", 60);
    await sleep(90);
    assert.equal(await cache.get(key), null);
  });

  test("replaces a value and its lifetime, or keeps both with onlyNew", async (cache, key) => {
    await cache.set(key, "a", 2_000);
    assert.equal(await cache.set(key, "b", 10_000, { onlyNew: true }), false);
    assert.equal(await cache.get(key), "a");
    await sleep(2_050);
    assert.equal(await cache.set(key, "c", 50, { onlyNew: true }), true);
    await cache.set(key, "d", 10_000);
    await sleep(80);
    assert.equal(await cache.get(key), "d");
  });

  test("gives a value to one of many concurrent takers", async (cache, key) => {
    await cache.set(key, "ticket", 10_000);
    const taken = await Promise.all(Array.from({ length: 20 }, () => cache.take(key)));
    assert.deepEqual(taken.filter((value) => value !== null), ["ticket"]);
    assert.equal(await cache.take(key), null);
  });

  test("lets one of many callers set with onlyNew", async (cache, key) => {
    const set = await Promise.all(
      Array.from({ length: 20 }, (_, i) => cache.set(key, `${i}`, 10_000, { onlyNew: true })),
    );
    assert.equal(set.filter(Boolean).length, 1);
  });

  test("deletes a value, and a missing one without an error", async (cache, key) => {
    await cache.set(key, "a", 10_000);
    await cache.delete(key);
    await cache.delete(key);
    assert.equal(await cache.get(key), null);
  });

  test("counts every increment, within the window of the first", async (cache, key) => {
    const first = await cache.increment(key, 2, 2_000);
    assert.equal(first.value, 2);
    assert.ok(first.leftMs > 1_500 && first.leftMs <= 2_000, `${first.leftMs}`);
    await sleep(60);
    const values = await Promise.all(Array.from({ length: 50 }, () => cache.increment(key, 1, 60_000)));
    assert.deepEqual(
      values.map((each) => each.value).sort((a, b) => a - b),
      Array.from({ length: 50 }, (_, i) => i + 3),
    );
    assert.ok(values.every((each) => each.leftMs <= 1_950 && each.leftMs > 0));
    await sleep(2_000);
    assert.equal((await cache.increment(key, 1, 200)).value, 1);
  });
}
