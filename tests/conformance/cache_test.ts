import assert from "node:assert/strict";
import { CacheUnavailable } from "../../lib/cache/cache.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { RedisCache } from "../../lib/cache/redis.ts";
import { freePort, startRedis } from "../support/servers.ts";
import { cacheSuite } from "./cache_suite.ts";
import { sleep } from "../../lib/sleep.ts";

cacheSuite("MemoryCache", () => new MemoryCache());

Deno.test("MemoryCache evicts the least recently used key when it is full", async () => {
  await using cache = new MemoryCache(3);
  for (const key of ["a", "b", "c"]) await cache.set(key, key, 10_000);
  await cache.get("a");
  await cache.set("d", "d", 10_000);
  assert.deepEqual(await Promise.all(["a", "b", "c", "d"].map((key) => cache.get(key))), ["a", null, "c", "d"]);
});

const url = Deno.env.get("TEST_REDIS_URL");
if (url) cacheSuite("RedisCache", () => new RedisCache(url));

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "RedisCache without a server is unavailable at once",
  ...options,
  fn: async () => {
    await using cache = new RedisCache(`redis://127.0.0.1:${await freePort()}`);
    await unavailable(() => cache.get("a"), 700, 5);
  },
});

Deno.test({
  name: "RedisCache is unavailable within its timeout when the server hangs",
  ...options,
  ignore: !url,
  fn: async () => {
    await using server = await startRedis();
    await using cache = new RedisCache(server.url, { timeout: 200 });
    await cache.set("a", "1", 10_000);
    server.signal("SIGSTOP");
    await unavailable(() => cache.get("a"), 400, 3);
    await unavailable(() => cache.increment("b", 1, 1000), 400, 3);
    server.signal("SIGCONT");
    assert.equal(await eventually(() => cache.get("a")), "1");
  },
});

Deno.test({
  name: "RedisCache works again after its server was killed and restarted",
  ...options,
  ignore: !url,
  fn: async () => {
    await using server = await startRedis();
    await using cache = new RedisCache(server.url);
    await cache.increment("a", 1, 60_000);
    await server.kill();
    await unavailable(() => cache.increment("a", 1, 60_000), 700, 10);
    await server.restart({ wipe: true });
    // The scripts are gone from the server as well.
    assert.equal((await eventually(() => cache.increment("a", 1, 60_000))).value, 1);
  },
});

/** Of some calls none hangs, and the shortest is in time: a busy machine only makes them longer. */
async function unavailable(call: () => Promise<unknown>, withinMs: number, calls: number): Promise<void> {
  const took: number[] = [];
  for (let i = 0; i < calls; i++) {
    const start = Date.now();
    await assert.rejects(call(), CacheUnavailable);
    took.push(Date.now() - start);
    await sleep(30);
  }
  assert.ok(Math.min(...took) <= withinMs && Math.max(...took) <= withinMs + 2_000, `took ${took} ms`);
}

async function eventually<T>(call: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + 5000;;) {
    try {
      return await call();
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(20);
    }
  }
}
