/** The VK routes of a whole node, with the fake of this process. */
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { CAPTCHA_KEY } from "../../services/vk/fake/faults.ts";
import type { Answer } from "../support/api.ts";
import { startApp } from "../support/app.ts";
import { freshDataDir } from "../support/database.ts";
import { newLogin, type Person } from "../support/person.ts";
import { innerCalls, sharedVkApp } from "../support/vk.ts";
import { until } from "../support/wait.ts";

const { app, fake } = sharedVkApp();
const redisUrl = Deno.env.get("TEST_REDIS_URL");

/** A person with their own VK token, whose calls VK counts separately. */
async function holder(token: string, kind: "user" | "service" = "user"): Promise<Person> {
  fake().reset();
  fake().switches.calls = 1_000;
  const person = await app.person();
  await app.ok("PUT", "/vk/token", { token: person.token, body: { token, kind } });
  return person;
}

const get = ({ token }: Person, path: string): Promise<Answer> => app.call("GET", `/vk/users/${path}`, { token });

async function shown(person: Person, path: string) {
  const { status, body } = await get(person, path);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

Deno.test("A person stores their token, sees themselves and others with it, replaces and deletes it", async () => {
  const ada = await holder("fake-user-201");
  const me = await shown(ada, "me");
  assert.deepEqual(
    { ...me, fetched_at: "" },
    {
      id: "201",
      first_name: "Sasha",
      last_name: "Drozd",
      status: "offline",
      status_text: "feeding the crows",
      videos: 1,
      followers: 201,
      posts: 1,
      unavailable: {},
      fetched_at: "",
      stale: false,
    },
  );
  assert.equal((await shown(ada, "anna_test")).id, "101");
  await app.ok("PUT", "/vk/token", { token: ada.token, body: { token: "fake-user-108", kind: "user" } });
  assert.equal((await shown(ada, "me")).id, "108");
  await app.ok("DELETE", "/vk/token", { token: ada.token });
  await app.ok("DELETE", "/vk/token", { token: ada.token });
  for (const path of ["me", "101", "101/videos"]) assert.equal((await get(ada, path)).slug, "vk-token-missing");
  assert.equal(fake().log.every(({ token_from }) => token_from === "header"), true);
});

/** The fields that are null, with the reason, by target. */
const HIDDEN: Record<string, Record<string, string>> = {
  "101": {},
  "104": {
    status_text: "profile-private",
    videos: "profile-private",
    followers: "profile-private",
    posts: "profile-private",
  },
  "106": { posts: "wall-hidden" },
  "107": { posts: "wall-disabled" },
  "108": {},
  "110": { status: "online-hidden" },
  "111": { videos: "videos-hidden" },
  "113": { posts: "content-blocked" },
};

Deno.test("What VK hides is null with a reason, and what is empty is 0", async () => {
  const ada = await holder("fake-user-202");
  for (const [id, unavailable] of Object.entries(HIDDEN)) {
    const user = await shown(ada, id);
    assert.deepEqual(user.unavailable, unavailable, id);
    for (const field of ["status", "status_text", "videos", "followers", "posts"]) {
      assert.equal(user[field] === null, field in unavailable, `${field} of ${id}`);
    }
  }
  const { videos, followers, posts } = await shown(ada, "108");
  assert.deepEqual([videos, followers, posts], [0, 0, 0]);
  const gone = await shown(ada, "102");
  assert.deepEqual([gone.first_name, gone.posts, gone.unavailable.posts], ["DELETED", null, "user-deleted"]);
});

Deno.test("Videos need a person's token, not an app's", async () => {
  const ada = await holder("fake-service", "service");
  const user = await shown(ada, "101");
  assert.deepEqual([user.videos, user.unavailable, user.posts], [null, { videos: "user-token-required" }, 14]);
  const videos = await shown(ada, "101/videos");
  assert.deepEqual([videos.count, videos.items, videos.unavailable], [null, [], { videos: "user-token-required" }]);
  assert.equal((await get(ada, "me")).slug, "vk-user-token-required");
});

Deno.test("Videos are paged, each once, without hidden ones", async () => {
  const ada = await holder("fake-user-203");
  const seen: string[] = [];
  let pages = 0;
  for (let path: string | null = "112/videos?limit=40"; path !== null; pages++) {
    const { body, headers } = await get(ada, path);
    assert.equal(body.count, 250);
    seen.push(...body.items.map(({ id }: { id: string }) => id));
    const link = /^<(.*)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
    assert.equal(link === undefined, body.next_cursor === null);
    path = link === undefined ? null : link.split("/vk/users/")[1]!;
  }
  const expected = Array.from({ length: 250 }, (_, i) => i + 1).filter((i) => i % 7 !== 0).map((i) => `112_${i}`);
  assert.deepEqual([seen, pages], [expected, 7]);
});

Deno.test("A cursor of another list is rejected", async () => {
  const ada = await holder("fake-user-204");
  const people = await app.people(2);
  for (const person of people) await app.post(person);
  await Promise.all(people.map((person) => app.post(person)));
  const page = await app.ok("GET", `/pages/${people[0]!.page_id}/posts?limit=1`, { token: ada.token });
  assert.equal((await get(ada, `112/videos?cursor=${page.next_cursor}`)).slug, "invalid-cursor");
  assert.equal(fake().log.length, 0);
});

Deno.test("Concurrent requests for one profile share one call", async () => {
  const ada = await holder("fake-user-205");
  fake().fault({ kind: "latency", ms: 200 });
  const answers = await Promise.all(Array.from({ length: 8 }, () => shown(ada, "101")));
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.deepEqual(fake().log.map(innerCalls), [["users.get", "wall.get", "video.get"]]);
});

Deno.test("A dead token is reported, is tried once and leaves no ciphertext", async () => {
  const ada = await holder("fake-expired");
  for (let i = 0; i < 3; i++) assert.equal((await get(ada, "101")).slug, "vk-token-invalid");
  assert.equal(fake().log.length, 1);
  const [row] = await app.ctx.sql.query("select sealed from vk_tokens where user_id = $1", [ada.id]);
  assert.deepEqual(row, { sealed: null });
});

Deno.test("A captcha has its link, can be answered, and the request succeeds", async () => {
  const ada = await holder("fake-user-206");
  fake().fault({ kind: "captcha", form: "new" });
  const asked = await app.refused("vk-captcha-needed", "GET", "/vk/users/101", { token: ada.token });
  assert.match(asked.redirect_uri, /^https:\/\/id\.vk\.com\/not_robot_captcha/);
  const body = { success_token: "fake-success", remixstlid: asked.remixstlid };
  assert.equal((await app.call("POST", "/vk/captcha", { token: ada.token, body })).status, 204);
  assert.equal((await shown(ada, "101")).first_name, "Анна");
  fake().fault({ kind: "captcha", form: "old" });
  const older = await app.refused("vk-captcha-needed", "GET", "/vk/users/108", { token: ada.token });
  assert.match(older.captcha_img, /captcha\.php/);
  const key = { captcha_sid: older.captcha_sid, captcha_key: CAPTCHA_KEY };
  await app.ok("POST", "/vk/captcha", { token: ada.token, body: key });
  assert.equal((await shown(ada, "108")).first_name, "Zoya");
});

Deno.test("One person's captcha answer is not sent with another's request", async () => {
  const [ada, bob] = [await holder("fake-user-207"), await holder("fake-user-208")];
  await app.ok("POST", "/vk/captcha", { token: ada.token, body: { captcha_sid: "1", captcha_key: "rook" } });
  await shown(bob, "101");
  assert.ok(!JSON.stringify(fake().log).includes("captcha_key"));
});

Deno.test("Validation has the page to open", async () => {
  const ada = await holder("fake-user-209");
  fake().fault({ kind: "validation" });
  const { redirect_uri } = await app.refused("vk-validation-required", "GET", "/vk/users/101", { token: ada.token });
  assert.match(redirect_uri, /^https:\/\/m\.vk\.com\/activation/);
});

Deno.test("With VK down the answer is 503, or an older response with its age", async () => {
  const ada = await holder("fake-user-210");
  const before = await shown(ada, "101");
  fake().fault({ kind: "html", status: 502 }, { times: 1_000 });
  const nothing = await get(ada, "108");
  assert.equal(nothing.slug, "vk-unavailable");
  assert.ok(Number(nothing.headers.get("retry-after")) >= 1);
  assert.deepEqual(await shown(ada, "101"), before, "still fresh");
  const now = Date.now;
  try {
    Date.now = () => now() + 120_000;
    assert.deepEqual(await shown(ada, "101"), { ...before, stale: true });
    fake().faults.clear();
    // Later the breaker allows one probe.
    Date.now = () => now() + 240_000;
    assert.equal((await shown(ada, "101")).stale, false);
  } finally {
    Date.now = now;
  }
});

Deno.test("One person's response is not shown to another", async () => {
  const friend = await holder("fake-user-101");
  const stranger = await holder("fake-user-211");
  assert.equal((await shown(friend, "105")).posts, 14);
  assert.equal((await shown(stranger, "105")).unavailable.posts, "profile-private");
});

Deno.test("An unknown user is not found, and an invalid name is never sent", async () => {
  const ada = await holder("fake-user-212");
  for (const id of ["1000000000", "nobody_here", "rookery_club"]) {
    assert.equal((await get(ada, id)).slug, "not-found", id);
  }
  fake().forget();
  for (const id of ["0", "-3001", "x", "a,b", "a%22b", "101%20", "%D0%BA%D0%BE%D1%82", "a".repeat(40)]) {
    assert.equal((await get(ada, id)).slug, "not-found", id);
  }
  assert.equal(fake().log.length, 0);
});

Deno.test("A token that no header can carry is rejected without being repeated", async () => {
  const { token } = await app.person();
  for (const wrong of ["", "with space", "line\nbreak", "кот", "x".repeat(2_049), 7, null, ["a"]]) {
    const body = { token: wrong, kind: "user" };
    const { errors } = await app.refused("validation", "PUT", "/vk/token", { token, body });
    assert.equal(errors[0].path, "token");
    assert.ok(!JSON.stringify(errors).includes("space"));
  }
  await app.refused("validation", "PUT", "/vk/token", { token, body: { token: "x", kind: "group" } });
  await app.refused("validation", "PUT", "/vk/token", { token, body: { token: "x" } });
});

Deno.test("A profile has an ETag", async () => {
  const ada = await holder("fake-user-213");
  const { headers } = await get(ada, "101");
  const again = await app.call("GET", "/vk/users/101", {
    token: ada.token,
    headers: { "if-none-match": headers.get("etag")! },
  });
  assert.equal(again.status, 304);
});

Deno.test("A token and its copy are deleted with the account", async () => {
  const ada = await holder("fake-user-214");
  await shown(ada, "me");
  const { token } = await app.admin();
  await app.ok("DELETE", `/users/${ada.id}`, { token });
  assert.deepEqual(await app.ctx.sql.query("select from vk_tokens where user_id = $1", [ada.id]), []);
  if (redisUrl === undefined) assert.equal(await app.ctx.cache.get(`vk:token:${ada.id}`), null);
});

Deno.test({
  name: "Redis has the copy under vk:token:<account id>, which is used, created again when lost, and deleted",
  ignore: redisUrl === undefined,
  fn: async () => {
    const redis = new Redis(redisUrl!);
    try {
      const ada = await holder("fake-user-215");
      const key = `vk:token:${ada.id}`;
      const copy = await redis.get(key);
      assert.ok(
        copy && !copy.includes("fake-user") &&
          !atob(copy.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")).includes("fake-user"),
      );
      assert.ok(await redis.pttl(key) > 0);
      await app.ctx.sql.execute("update vk_tokens set sealed = '\\x00' where user_id = $1", [ada.id]);
      await shown(ada, "me");
      await app.ok("PUT", "/vk/token", { token: ada.token, body: { token: "fake-user-215", kind: "user" } });
      await redis.del(key);
      await shown(ada, "101");
      assert.ok(await redis.get(key));
      await app.ok("DELETE", "/vk/token", { token: ada.token });
      assert.equal(await redis.get(key), null);
      const bob = await holder("fake-user-216");
      await app.ok("DELETE", `/users/${bob.id}`, { token: (await app.admin()).token });
      await until("its copy is deleted", async () => await redis.get(`vk:token:${bob.id}`) === null);
    } finally {
      redis.disconnect();
    }
  },
});

Deno.test("In the embedded default VK is the bundled fake, and its tokens work", async () => {
  await using folder = await freshDataDir();
  const inside = { DATA_DIR: folder.path, DATABASE_URL: "", REDIS_URL: "", NATS_URL: "", VK_API_URL: "" };
  await using embedded = await startApp(inside);
  assert.match(embedded.ctx.vk!.fakeUrl!, /^http:\/\/127\.0\.0\.1:\d+$/);
  const { token } = await embedded.person();
  await embedded.ok("PUT", "/vk/token", { token, body: { token: "fake-user-42", kind: "user" } });
  assert.equal((await embedded.ok("GET", "/vk/users/me", { token })).id, "42");
  await embedded.ok("PUT", "/vk/token", { token, body: { token: "fake-service", kind: "service" } });
  assert.equal((await embedded.ok("GET", "/vk/users/101", { token })).posts, 14);
});

Deno.test("Without an address outside of the embedded default VK routes report that VK is not configured", async () => {
  // With a bus address the installation is not the embedded default. The bus has no server.
  await using folder = await freshDataDir();
  await using partly = await startApp({
    DATA_DIR: folder.path,
    DATABASE_URL: "",
    REDIS_URL: "",
    NATS_URL: "nats://127.0.0.1:9",
    VK_API_URL: "",
  });
  const { token } = await partly.person();
  const calls: [string, string, unknown?][] = [
    ["PUT", "/vk/token", { token: "fake-user-1", kind: "user" }],
    ["DELETE", "/vk/token"],
    ["POST", "/vk/captcha", { captcha_sid: "1", captcha_key: "x" }],
    ["GET", "/vk/users/me"],
    ["GET", `/vk/users/${newLogin()}/videos`],
  ];
  for (const [method, path, body] of calls) {
    await partly.refused("vk-not-configured", method, path, { token, ...(body === undefined ? {} : { body }) });
  }
});

Deno.test("Names are in the caller's language, otherwise in VK_LANG, and Vary says so", async () => {
  const ada = await app.person();
  await app.ok("PUT", "/vk/token", { token: ada.token, body: { token: "fake-user-101", kind: "user" } });
  const of = async (path: string, lang: string) => {
    const headers = { "accept-language": lang };
    const answer = await app.call("GET", path, { token: ada.token, headers });
    assert.equal(answer.headers.get("vary"), "Accept-Language", path);
    return answer.body;
  };
  assert.equal((await of("/vk/users/109", "en-GB,en;q=0.9")).first_name, "Nina");
  assert.equal((await of("/vk/users/109", "ja")).first_name, "Нина");
  await of("/vk/users/109/videos", "en");
});
