/** The VK-fetch actor with the fake: shared requests, cached and stale responses, per account. */
import assert from "node:assert/strict";
import { VkFetch } from "../../../actors/vk_fetch.ts";
import { type Cache, CacheUnavailable } from "../../../lib/cache/cache.ts";
import { MemoryCache } from "../../../lib/cache/memory.ts";
import { AppError } from "../../../lib/errors.ts";
import { Log } from "../../../lib/log.ts";
import { Secret } from "../../../security/secret.ts";
import { CAPTCHA_KEY, type Fault, REMIXSTLID, SUCCESS_TOKEN } from "../../../services/vk/fake/faults.ts";
import type { TokenKind } from "../../../db/vk_tokens.ts";
import { targetOf } from "../../../services/vk/target.ts";
import { VkToken } from "../../../services/vk/token.ts";
import type { HeldToken } from "../../../services/vk/vault.ts";
import { sleep } from "../../../lib/sleep.ts";
import { innerCalls, startVk, type TestVkOptions } from "../../support/vk.ts";

interface Holder {
  token: string;
  kind?: TokenKind;
  version?: string;
}

/** `holders` by account; calls of the vault are recorded in `refused` and `forgotten`. */
async function fetching(
  holders: Record<string, Holder>,
  { freshMs = 60_000, cache, ...options }: TestVkOptions & { freshMs?: number; cache?: Cache } = {},
) {
  const vk = await startVk({ breaker: { failures: 1_000 }, retry: { tries: 2 }, ...options });
  const own = new MemoryCache();
  const calls = { refused: [] as string[], forgotten: [] as string[] };
  const fetch = new VkFetch({
    vault: {
      of: (user): Promise<HeldToken> => {
        const { token, kind = "user", version = "1" } = holders[user]!;
        return Promise.resolve({ token: new VkToken(token), kind, version });
      },
      refused: async (user, version) => void calls.refused.push(`${user} ${version}`),
      forget: async (user) => void calls.forgotten.push(user),
    },
    client: vk.client,
    cache: cache ?? own,
    spare: own,
    secret: new Secret("s".repeat(32)),
    log: new Log("error"),
    freshMs,
  });
  return {
    ...vk,
    fetch,
    calls,
    profile: (user: string, target: string) => fetch.profile(user, targetOf(target)!),
    videos: (user: string, target: string, limit = 20, offset = 0) =>
      fetch.videos(user, targetOf(target)!, { limit, offset }),
    async [Symbol.asyncDispose]() {
      await vk[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
    },
  };
}

const ADA = { ada: { token: "fake-user-101" } };
const down: Fault = { kind: "html", status: 503 };

async function problem(call: Promise<unknown>): Promise<AppError> {
  const error = await call.then((value) => assert.fail(JSON.stringify(value)), (error) => error);
  assert.ok(error instanceof AppError, `Expected a problem, got ${error.stack}`);
  return error;
}

Deno.test("A profile is one execute: by id, by screen name, oneself; with an app's token too", async () => {
  await using it = await fetching({ ...ADA, app: { token: "fake-service", kind: "service" } });
  for (
    const [user, target] of [["ada", "108"], ["ada", "zoya_zero"], ["ada", "me"], ["app", "108"], ["app", "zoya_zero"]]
  ) {
    it.fake.forget();
    const { value } = await it.profile(user!, target!);
    assert.equal(value.posts, target === "me" ? 14 : 0);
    assert.deepEqual(it.asked(), ["execute"], `${user} ${target}`);
  }
});

Deno.test("By name and without counters, the number of videos costs one more request", async () => {
  await using it = await fetching(ADA);
  assert.equal((await it.profile("ada", "nina_none")).value.videos, 8);
  assert.deepEqual(it.asked(), ["execute", "video.get"]);
  it.fake.forget();
  assert.equal((await it.profile("ada", "clara_closed")).value.unavailable.videos, "profile-private");
  assert.deepEqual(it.asked(), ["execute"], "private parts are not requested");
});

Deno.test("Concurrent requests for one profile share one request", async () => {
  await using it = await fetching(ADA);
  it.fake.fault({ kind: "latency", ms: 150 });
  const asked = ["101", "id101", "101"].map((target) => it.profile("ada", target));
  // Also while the request is in progress.
  await sleep(50);
  asked.push(it.profile("ada", "ID101"), it.profile("ada", "101"));
  const answers = await Promise.all(asked);
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.equal(it.fake.log.flatMap(innerCalls).length, 3);
});

Deno.test("A shared failure fails each request, and not the next one", async () => {
  await using it = await fetching(ADA);
  it.fake.fault(down, { times: 2 });
  const ends = await Promise.all([1, 2, 3].map(() => problem(it.profile("ada", "101"))));
  assert.deepEqual(ends.map(({ code }) => code), Array(3).fill("vk-unavailable"));
  assert.equal((await it.profile("ada", "101")).value.first_name, "Anna");
});

Deno.test("Profiles requested together share requests as far as VK's limit makes them wait", async () => {
  await using it = await fetching(ADA, { limits: { calls: 1, windowMs: 200 } });
  it.fake.switches.calls = 1_000;
  const ids = Array.from({ length: 9 }, (_, i) => String(300 + i));
  const profiles = await Promise.all(ids.map((id) => it.profile("ada", id)));
  assert.deepEqual(profiles.map(({ value }) => value.id), ids);
  assert.ok(it.fake.log.length <= 3, `${it.fake.log.length} requests`);
  assert.equal(it.fake.log.flatMap(innerCalls).length, 27);
});

Deno.test("A fresh response is returned again with its time; later VK is asked again", async () => {
  await using it = await fetching(ADA, { freshMs: 1_500 });
  const first = await it.profile("ada", "101");
  const again = await it.profile("ada", "101");
  assert.deepEqual(again, first);
  assert.equal(it.fake.log.length, 1);
  assert.ok(Math.abs(Date.parse(first.fetched_at) - Date.now()) < 5_000);
  await sleep(1_600);
  assert.ok((await it.profile("ada", "101")).fetched_at > first.fetched_at);
  assert.equal(it.fake.log.length, 2);
});

/** VK unavailable, or temporarily rejecting. */
const AWAY: Fault[] = [
  down,
  { kind: "reset" },
  { kind: "truncated" },
  { kind: "no-answer" },
  { kind: "error", code: 1 },
  { kind: "error", code: 6 },
  { kind: "error", code: 9 },
  { kind: "error", code: 10 },
  { kind: "error", code: 29 },
];

for (const fault of AWAY) {
  const name = fault.kind === "error" ? `code ${fault.code}` : fault.kind;
  Deno.test(`With VK at "${name}" an older response is returned as stale; without one a problem`, async () => {
    await using it = await fetching(ADA, { freshMs: 0, attemptMs: 300, retry: { tries: 2 } });
    const profile = await it.profile("ada", "101");
    const videos = await it.videos("ada", "112", 5);
    it.fake.fault(fault, { times: 1_000 });
    assert.deepEqual(await it.profile("ada", "101"), { ...profile, stale: true });
    assert.deepEqual(await it.videos("ada", "112", 5), { ...videos, stale: true });
    const { code, retryAfter } = await problem(it.profile("ada", "108"));
    assert.ok(code === "vk-unavailable" || code === "rate-limited", code);
    assert.ok(retryAfter! >= 1);
  });
}

Deno.test("A cached response is never returned to another account or under another token", async () => {
  const holders: Record<string, Holder> = {
    friend: { token: "fake-user-101" },
    stranger: { token: "fake-user-108" },
  };
  await using it = await fetching(holders);
  assert.equal((await it.profile("friend", "105")).value.posts, 14);
  assert.deepEqual((await it.profile("stranger", "105")).value.unavailable.posts, "profile-private");
  holders["friend"] = { token: "fake-user-108", version: "2" };
  assert.equal((await it.profile("friend", "105")).value.unavailable.posts, "profile-private");
  it.fake.fault(down, { times: 1_000 });
  holders["friend"] = { token: "fake-user-111", version: "3" };
  assert.equal((await problem(it.profile("friend", "105"))).code, "vk-unavailable", "not even when VK is unavailable");
});

Deno.test("A cached response is unreadable in the cache, and with another key or secret", async () => {
  await using shared = new MemoryCache();
  const written = new Map<string, string>();
  const cache = Object.assign(Object.create(shared) as Cache, {
    set: (key: string, value: string, ttlMs: number) => {
      if (key.startsWith("vk:answer:")) written.set(key, value);
      return shared.set(key, value, ttlMs);
    },
    get: (key: string) => shared.get(key),
  });
  await using it = await fetching(ADA, { cache });
  const { value } = await it.profile("ada", "108");
  const [[key, kept]] = [...written] as [[string, string]];
  assert.ok(value.last_name.length > 2);
  for (const text of [kept, new TextDecoder().decode(Uint8Array.fromBase64(kept))]) {
    for (const said of [value.last_name, "fetched_at"]) assert.ok(!text.includes(said), said);
  }
  const asked = async (target: string) => {
    it.fake.forget();
    assert.equal((await it.profile("ada", target)).stale, false);
    return it.fake.log.length > 0;
  };
  assert.equal(await asked("108"), false);
  await shared.set(key.replace("108", "105"), kept, 60_000);
  assert.equal(await asked("105"), true, "a response is not valid under another key");
  await shared.set(
    key,
    new Secret("t".repeat(32)).seal("vk-answer", new TextEncoder().encode("{}"), key).toBase64(),
    60_000,
  );
  assert.equal(await asked("108"), true, "nor encrypted with another secret");
});

Deno.test("A dead token is dropped at once without a retry or an older response", async () => {
  const holders = { ada: { token: "fake-user-101", version: "7" } };
  await using it = await fetching(holders, { freshMs: 0 });
  await it.profile("ada", "101");
  it.fake.fault({ kind: "error", code: 5 });
  assert.equal((await problem(it.profile("ada", "101"))).code, "vk-token-invalid");
  assert.deepEqual([it.calls.refused, it.fake.log.length], [["ada 7"], 2]);
  it.fake.fault({ kind: "error", code: 1117 }, { method: "wall.get" });
  assert.equal((await problem(it.profile("ada", "101"))).code, "vk-token-invalid", "within a script, too");
});

Deno.test("A captcha has its link even with an older response, and its answer goes with the next request", async () => {
  await using it = await fetching(ADA, { freshMs: 0 });
  await it.profile("ada", "101");
  it.fake.fault({ kind: "captcha", form: "new" });
  const { code, members } = await problem(it.profile("ada", "101"));
  assert.equal(code, "vk-captcha-needed");
  assert.match(members!.redirect_uri!, /^https:\/\/id\.vk\.com/);
  assert.equal(members!.remixstlid, REMIXSTLID);
  await it.fetch.captchaAnswered("ada", { success_token: SUCCESS_TOKEN, remixstlid: members!.remixstlid });
  assert.equal((await it.profile("ada", "101")).stale, false);
  it.fake.fault({ kind: "captcha", form: "old" }, { method: "wall.get" });
  const old = (await problem(it.profile("ada", "101"))).members!;
  assert.match(old.captcha_img!, /^http:\/\/api\.vk\.com\/captcha/);
  await it.fetch.captchaAnswered("ada", { captcha_sid: old.captcha_sid!, captcha_key: "wrong" });
  assert.equal((await problem(it.profile("ada", "101"))).code, "vk-captcha-needed");
  await it.fetch.captchaAnswered("ada", { captcha_sid: old.captcha_sid!, captcha_key: CAPTCHA_KEY });
  assert.equal((await it.profile("ada", "101")).value.posts, 14);
  const before = it.fake.log.length;
  await it.profile("ada", "108");
  assert.ok(!JSON.stringify(it.fake.log.slice(before)).includes("captcha"), "it is sent once");
});

Deno.test("Validation has the page to open", async () => {
  await using it = await fetching(ADA);
  it.fake.fault({ kind: "validation" });
  const { code, members } = await problem(it.profile("ada", "101"));
  assert.deepEqual([code, Object.keys(members!)], ["vk-validation-required", ["redirect_uri"]]);
});

Deno.test("A part that fails temporarily is null with that reason, and the response is not cached", async () => {
  await using it = await fetching(ADA);
  it.fake.fault({ kind: "error", code: 10 }, { method: "wall.get", times: 3 });
  const { value } = await it.profile("ada", "101");
  assert.deepEqual([value.posts, value.unavailable.posts, value.followers], [null, "vk-failing", 62]);
  assert.equal((await it.profile("ada", "101")).value.posts, 14);
});

Deno.test("An unknown VK user is not found", async () => {
  await using it = await fetching({ ...ADA, app: { token: "fake-service", kind: "service" } });
  for (const mode of ["empty", "error"] as const) {
    Object.assign(it.fake.switches, { unknown_id: mode, unknown_name: mode });
    for (const target of ["1000000000", "nobody_here", "rookery_club"]) {
      assert.equal((await problem(it.profile("ada", target))).code, "not-found", target);
      assert.equal((await problem(it.videos("ada", target))).code, "not-found", target);
      assert.equal((await problem(it.profile("app", target))).code, "not-found", target);
    }
  }
});

Deno.test("An app has no profile: oneself and videos need a person's token", async () => {
  await using it = await fetching({ app: { token: "fake-service", kind: "service" } });
  assert.equal((await problem(it.profile("app", "me"))).code, "vk-user-token-required");
  assert.equal((await problem(it.videos("app", "me"))).code, "vk-user-token-required");
  const { value } = await it.videos("app", "101");
  assert.deepEqual(value, { count: null, items: [], unavailable: { videos: "user-token-required" } });
  assert.equal(it.fake.log.length, 0);
});

Deno.test("A community's token is reported as not a person's", async () => {
  await using it = await fetching({ club: { token: "fake-group" } });
  const { value } = await it.profile("club", "101");
  assert.deepEqual(value.unavailable, { videos: "user-token-required", posts: "user-token-required" });
});

Deno.test("Videos are returned as in VK: pages, without hidden ones, or hidden altogether", async () => {
  await using it = await fetching(ADA);
  const page = (await it.videos("ada", "maria_movies", 20, 240)).value;
  assert.deepEqual([page.count, page.items.length, page.items[0]!.id], [250, 9, "112_241"]);
  for (
    const [target, reason] of [["111", "videos-hidden"], ["104", "profile-private"], ["102", "user-deleted"], [
      "103",
      "user-banned",
    ]]
  ) {
    const { value } = await it.videos("ada", target!);
    assert.deepEqual(value, { count: null, items: [], unavailable: { videos: reason } });
  }
  assert.deepEqual((await it.videos("ada", "108")).value, { count: 0, items: [], unavailable: {} });
});

Deno.test("An error of the client is a problem with its code", async () => {
  await using it = await fetching(ADA);
  for (const code of [2, 3, 4, 7, 8, 16, 20, 23, 24, 33, 34, 100, 150, 9999, 11500, 31_337]) {
    it.fake.fault({ kind: "error", code });
    it.fake.fault({ kind: "error", code }, { method: "users.get" });
    const refused = await problem(it.profile("ada", String(500 + code)));
    assert.equal(refused.code, "vk-refused", String(code));
    it.fake.faults.clear();
  }
});

Deno.test("Without a cache every request goes to VK, and nothing else changes", async () => {
  const away = new Proxy({} as Cache, { get: () => () => Promise.reject(new CacheUnavailable()) });
  await using it = await fetching(ADA, { cache: away });
  for (let i = 0; i < 2; i++) assert.equal((await it.profile("ada", "101")).value.posts, 14);
  assert.equal(it.fake.log.length, 2);
  it.fake.fault({ kind: "captcha", form: "new" });
  const { members } = await problem(it.profile("ada", "101"));
  await it.fetch.captchaAnswered("ada", { success_token: SUCCESS_TOKEN, remixstlid: members!.remixstlid });
  assert.equal((await it.profile("ada", "101")).value.posts, 14);
});

Deno.test("The copy of a token is deleted at the event of its account's deletion", async () => {
  await using it = await fetching(ADA);
  const event = { seq: 1, page_id: null, post_id: null, data: null, at: new Date().toISOString() };
  it.fetch.absorb([{ ...event, kind: "post.created", user_id: "bob" }, {
    ...event,
    kind: "user.deleted",
    user_id: "ada",
  }]);
  assert.deepEqual(it.calls.forgotten, ["ada"]);
});
