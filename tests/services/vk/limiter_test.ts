import assert from "node:assert/strict";
import { type Cache, CacheUnavailable } from "../../../lib/cache/cache.ts";
import { MemoryCache } from "../../../lib/cache/memory.ts";
import { RedisCache } from "../../../lib/cache/redis.ts";
import { CallLimiter, TooBusy } from "../../../services/vk/limiter.ts";
import { sleep } from "../../../lib/sleep.ts";
import { VkClient } from "../../../services/vk/client.ts";
import { startFakeServer } from "../../../services/vk/fake/server.ts";
import { VkToken } from "../../../services/vk/token.ts";

const redis = Deno.env.get("TEST_REDIS_URL");
const options = { sanitizeOps: false, sanitizeResources: false };

/** The cache that two nodes share. With Redis each has its own connection. */
const SHARED: [driver: string, open: (() => [Cache, Cache]) | undefined][] = [
  ["MemoryCache", () => {
    const cache = new MemoryCache();
    return [cache, cache];
  }],
  [
    "RedisCache",
    redis === undefined ? undefined : () => {
      const prefix = `test:${crypto.randomUUID()}:`;
      return [new RedisCache(redis, { prefix }), new RedisCache(redis, { prefix })];
    },
  ],
];

for (const [driver, open] of SHARED) {
  Deno.test({
    name: `${driver}: two nodes together allow three calls of a token per window, and the others a window later`,
    ...options,
    ignore: open === undefined,
    fn: async () => {
      const caches = open!();
      const limiters = caches.map((cache) => new CallLimiter(cache, { calls: 3, windowMs: 300 }));
      const times: number[] = [];
      const start = Date.now();
      const take = async (i: number) => {
        await limiters[i % 2]!.take("holder");
        times.push(Date.now() - start);
      };
      await Promise.all(Array.from({ length: 9 }, (_, i) => take(i)));
      // The first window begins with the first call, each other one when the one before is over.
      times.forEach((time, i) => assert.ok(time >= Math.floor(i / 3) * 300 - 10, `${times}`));
      assert.ok(times[8]! < 3_000, "no call waits longer than necessary");
      for (const disposable of [...limiters, ...caches]) await disposable[Symbol.asyncDispose]();
    },
  });

  Deno.test({
    name: `${driver}: two clients of one token never get "too many requests"`,
    ...options,
    ignore: open === undefined,
    fn: async () => {
      const caches = open!();
      await using server = await startFakeServer();
      // The documented limit of VK, counted in the stricter way.
      server.fake.switches.window = "sliding";
      const limiters = caches.map((cache) => new CallLimiter(cache));
      const clients = limiters.map((limiter) =>
        new VkClient({ url: server.url, limiter, holderOf: (token) => token.reveal(), retry: { tries: 1 } })
      );
      const call = (i: number) =>
        clients[i % 2]!.as(new VkToken("fake-user-101")).call("users.get", { user_ids: [101] });
      const codes = async () => {
        server.fake.forget();
        await Promise.all(Array.from({ length: 8 }, (_, i) => call(i)));
        return server.fake.log.map(({ code }) => code);
      };
      // A busy machine that delivers calls late can bring them nearer to later ones, but not three times.
      let seen = await codes();
      for (let again = 0; again < 2 && seen.some((code) => code !== 0); again++) seen = await codes();
      assert.deepEqual(seen, Array(8).fill(0));
      for (const disposable of [...clients, ...limiters, ...caches]) await disposable[Symbol.asyncDispose]();
    },
  });
}

Deno.test("Tokens do not wait for each other", async () => {
  await using cache = new MemoryCache();
  await using limiter = new CallLimiter(cache, { calls: 1, windowMs: 10_000 });
  const start = Date.now();
  await Promise.all(["a", "b", "c"].map((holder) => limiter.take(holder)));
  assert.ok(Date.now() - start < 5_000);
});

Deno.test("Calls are served in order", async () => {
  await using cache = new MemoryCache();
  await using limiter = new CallLimiter(cache, { calls: 1, windowMs: 30 });
  const order: number[] = [];
  await Promise.all(Array.from({ length: 6 }, (_, i) => limiter.take("holder").then(() => order.push(i))));
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
});

Deno.test("Only the first waiting call asks the cache", async () => {
  await using inner = new MemoryCache();
  let asked = 0;
  const counting = new Proxy(inner, {
    get: (target, name) => (...args: [string, number, number]) => {
      if (name === "increment") asked++;
      return target.increment(...args);
    },
  });
  await using limiter = new CallLimiter(counting, { calls: 3, windowMs: 100 });
  await Promise.all(Array.from({ length: 12 }, () => limiter.take("holder")));
  assert.ok(asked <= 12 + 4, `${asked} times`);
});

Deno.test("Waiting is limited: a call that would wait too long is rejected", async () => {
  await using cache = new MemoryCache();
  await using limiter = new CallLimiter(cache, { calls: 1, windowMs: 1_000, waitMs: 2_500 });
  const start = Date.now();
  const ends = await Promise.allSettled(Array.from({ length: 20 }, () => limiter.take("holder")));
  assert.ok(Date.now() - start < 7_500, `${Date.now() - start} ms`);
  const passed = ends.filter(({ status }) => status === "fulfilled").length;
  assert.ok(passed >= 2 && passed <= 4, `${passed} passed`);
  for (const end of ends) if (end.status === "rejected") assert.ok(end.reason instanceof TooBusy);
  await sleep(1_250);
  await limiter.take("holder");
});

Deno.test("Without the cache a node counts alone", async () => {
  let asked = 0;
  const away = new Proxy({} as Cache, {
    get: () => () => {
      asked++;
      return Promise.reject(new CacheUnavailable());
    },
  });
  await using limiter = new CallLimiter(away, { calls: 3, windowMs: 300 });
  const start = Date.now();
  for (let i = 0; i < 4; i++) await limiter.take("holder");
  assert.ok(Date.now() - start >= 280, "the fourth waits");
  // It is tried again after a second, which four calls may take on a busy machine.
  assert.ok(asked <= 2, `a failing cache was used ${asked} times`);
  await limiter.rest("holder", "wall.get", "quota", 1_000);
  assert.equal(await limiter.rests("holder", "wall.get"), "quota");
  assert.equal(await limiter.rests("holder", "users.get"), null);
});
