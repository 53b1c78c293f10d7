import assert from "node:assert/strict";
import { type Cache, CacheUnavailable } from "../../lib/cache/cache.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { AppError } from "../../lib/errors.ts";
import { type LimitName, LIMITS, RateLimiter } from "../../routes/http/rate_limit.ts";
import { startApp } from "../support/app.ts";

async function spend(limiter: RateLimiter, name: LimitName, key: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await limiter.check(name, key);
}

async function refusal(limiter: RateLimiter, name: LimitName, key: string): Promise<AppError> {
  try {
    await limiter.check(name, key);
  } catch (error) {
    assert.ok(error instanceof AppError);
    return error;
  }
  assert.fail("Expected a refusal");
}

/** A cache that counts its calls and fails while `broken`. */
function flaky(inner: Cache): Cache & { broken: boolean; asked: string[] } {
  const cache = {
    broken: false,
    asked: [] as string[],
    get: (key: string) => inner.get(key),
    set: (key: string, value: string, ttlMs: number) => inner.set(key, value, ttlMs),
    take: (key: string) => inner.take(key),
    delete: (key: string) => inner.delete(key),
    increment(key: string, by: number, ttlMs: number) {
      cache.asked.push(key);
      return cache.broken ? Promise.reject(new CacheUnavailable()) : inner.increment(key, by, ttlMs);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  return cache;
}

Deno.test("RateLimiter allows exactly the limit and returns when to retry", async () => {
  await using cache = new MemoryCache();
  const limiter = new RateLimiter(cache, true);
  await spend(limiter, "codes", "account a", LIMITS.codes.limit);
  const error = await refusal(limiter, "codes", "account a");
  assert.equal(error.code, "rate-limited");
  assert.equal(error.status, 429);
  assert.ok(error.retryAfter! >= 1 && error.retryAfter! <= 60, `retryAfter is ${error.retryAfter}`);
});

Deno.test("RateLimiter counts each key and each limit separately", async () => {
  await using cache = new MemoryCache();
  const limiter = new RateLimiter(cache, true);
  await spend(limiter, "codes", "account a", LIMITS.codes.limit);
  const other = await limiter.check("codes", "account b");
  const named = await limiter.check("guesses", "account a");
  assert.equal(other?.remaining, LIMITS.codes.limit - 1);
  assert.equal(named?.remaining, LIMITS.guesses.limit - 1);
});

Deno.test("RateLimiter adds up requests on two nodes with one cache", async () => {
  await using cache = new MemoryCache();
  await spend(new RateLimiter(cache, true), "signin", "address 10.0.0.1", LIMITS.signin.limit);
  assert.equal((await refusal(new RateLimiter(cache, true), "signin", "address 10.0.0.1")).code, "rate-limited");
});

Deno.test("RateLimiter that is off counts nothing and never uses the cache", async () => {
  await using cache = flaky(new MemoryCache());
  const limiter = new RateLimiter(cache, false);
  for (let i = 0; i < 50; i++) assert.equal(limiter.check("codes", "account a"), undefined);
  assert.deepEqual(cache.asked, []);
});

Deno.test("RateLimiter counts alone while the cache fails", async () => {
  await using cache = flaky(new MemoryCache());
  cache.broken = true;
  const limiter = new RateLimiter(cache, true);
  await spend(limiter, "codes", "account a", LIMITS.codes.limit);
  assert.equal((await refusal(limiter, "codes", "account a")).code, "rate-limited");
  assert.equal(cache.asked.length, 1, "a failing cache is not used at every request");
});

Deno.test("RateLimiter puts no plain address or email into the cache", async () => {
  await using cache = flaky(new MemoryCache());
  const limiter = new RateLimiter(cache, true);
  await limiter.check("general_address", "203.0.113.9");
  await limiter.check("guesses", "ada@example.org");
  assert.equal(cache.asked.length, 2);
  for (const key of cache.asked) assert.doesNotMatch(key, /203\.0\.113\.9|ada@/);
});

Deno.test("RateLimiter writes its headers as in the IETF draft", () => {
  const limiter = new RateLimiter(undefined as unknown as Cache, false);
  const state = { limit: 10, remaining: 7, resetS: 42, policy: { name: "codes", windowS: 60 } };
  assert.deepEqual(limiter.headers(state), { "ratelimit-policy": '"codes";q=10;w=60', ratelimit: '"codes";r=7;t=42' });
});

Deno.test("Problems have the state of the limit that was counted last", async () => {
  await using app = await startApp({ RATE_LIMITS: "on", NATS_URL: "", REDIS_URL: "" });
  const { token } = await app.person({ verified: false });
  const limitOf = async (...[method, path, options]: Parameters<typeof app.call>) => {
    const { status, headers } = await app.call(method, path, options);
    const [, name, left] = /^"(\w+)";r=(\d+);t=\d+$/.exec(headers.get("ratelimit") ?? "") ?? [];
    assert.match(headers.get("ratelimit-policy") ?? "", new RegExp(`^"${name}";q=\\d+;w=60$`));
    return { status, name, left: Number(left), retryAfter: headers.get("retry-after"), of: headers.get("ratelimit") };
  };
  const first = await limitOf("GET", "/users/me");
  assert.deepEqual([first.status, first.name], [401, "general_address"]);
  const next = await limitOf("GET", `/posts/${crypto.randomUUID()}`, { token });
  assert.deepEqual([next.status, next.name], [404, "general_account"]);
  assert.equal((await limitOf("GET", "/users/me")).left, first.left - 2);
  const invalid = await limitOf("GET", "/feed?limit=0", { token });
  assert.deepEqual([invalid.status, invalid.name], [422, "general_account"]);
  const forbidden = await limitOf("POST", "/pages", { token, body: { name: "A page" } });
  assert.deepEqual([forbidden.status, forbidden.name], [403, "general_address"]);
  const attempt = () => limitOf("POST", "/security/verify", { token, body: { code: "WRONG000" } });
  const tried = await attempt();
  assert.deepEqual([tried.status, tried.name], [422, "codes"]);
  for (let i = tried.left; i > 0; i--) await attempt();
  const over = await attempt();
  assert.deepEqual([over.status, over.of], [429, `"codes";r=0;t=${over.retryAfter}`]);
});

Deno.test("Problems have no limit if none is counted", async () => {
  await using app = await startApp({ RATE_LIMITS: "off", NATS_URL: "", REDIS_URL: "" });
  const { headers } = await app.call("GET", "/users/me");
  assert.equal(headers.get("ratelimit"), null);
});
