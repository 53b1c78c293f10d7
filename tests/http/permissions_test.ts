import assert from "node:assert/strict";
import type { Answer } from "../support/api.ts";
import { newLogin, PASSWORD, type Person, registration } from "../support/person.ts";
import { pngOf } from "../support/pictures.ts";
import { unsubscribeToken } from "../../jobs/email/unsubscribe.ts";
import { newId } from "../../lib/ids.ts";
import { sharedVkApp } from "../support/vk.ts";

const { app } = sharedVkApp();

/** Callers in the order of the table's columns. */
const CALLERS = [
  "anonymous",
  "unverified",
  "stranger",
  "follower",
  "owner",
  "moderator",
  "admin",
  "blocked",
  "old session",
  "refresh token",
] as const;
type CallerName = typeof CALLERS[number];

/** Every endpoint first rejects these callers with this error. */
const FIRST_REASON: Partial<Record<CallerName, string>> = {
  anonymous: "token-missing",
  blocked: "account-blocked",
  "old session": "token-outdated",
  "refresh token": "token-invalid",
};

interface World {
  callers: Record<CallerName, Person | undefined>;
  owner: Person;
  follower: Person;
  /** Pages of the owner: private with the follower, private without followers, public. */
  page: string;
  lonely: string;
  open: string;
  /** A post on the private page. */
  post: string;
  /** The key of a photo there. */
  photo: string;
  /** A person whose account may be deleted. */
  spare: () => Promise<Person>;
}

interface Row {
  /** The status for every caller, in order. */
  statuses: string;
  /** The path, if `{id}` is not the default. */
  path?: (world: World, caller: CallerName) => string | Promise<string>;
  body?: (world: World, caller: CallerName) => unknown | Promise<unknown>;
  /** The call deletes its caller or the caller's session. */
  spends?: true;
}

const SIGNED_IN = "401 200 200 200 200 200 200 403 401 401";
const ADMIN_ONLY = "401 403 403 403 403 403 200 403 401 401";
const STAFF_ONLY = "401 403 403 403 403 200 200 403 401 401";
const OWNER_ONLY = "401 403 403 403 200 403 403 403 401 401";
const WHO_SEES = "401 404 404 200 200 200 200 403 401 401";
const anyone = (status: number) => CALLERS.map(() => status).join(" ");
const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString();
const PICTURE = { name: "square.png", data: (await pngOf(400, 400)).toBase64() };
const account = ({ owner }: World) => `/users/${owner.id}`;
const spareAccount = async ({ owner, spare }: World, caller: CallerName) =>
  `/users/${caller === "admin" ? (await spare()).id : owner.id}`;
const freshPage = async ({ owner }: World) => `/pages/${(await app.page(owner)).id}`;
/** A token per person, so that calls to VK do not wait for each other. */
let holders = 0;
const vkToken = () => ({ token: `fake-user-${500 + holders++}`, kind: "user" });
const withVkToken = (path: string) => async ({ callers }: World, caller: CallerName) => {
  await app.call("PUT", "/vk/token", { token: callers[caller]?.token, body: vkToken() });
  return path;
};
const freshPost = async ({ owner, page }: World) => `/posts/${(await app.post(owner, {}, page)).id}`;

async function report({ owner, spare }: World): Promise<string> {
  const body = { target: { kind: "account", id: owner.id }, reason: "spam" };
  return (await app.ok("POST", "/reports", { token: (await spare()).token, body })).id;
}

async function deadJob(): Promise<string> {
  const id = newId();
  await app.ctx.sql.execute(
    "insert into jobs (id, kind, payload, state, run_at) values ($1, 'test', '{}', 'dead', now())",
    [id],
  );
  return id;
}

const TABLE: Record<string, Row> = {
  "post /users": { statuses: "201 201 201 201 201 201 201 403 401 401", body: () => registration() },
  "get /users/me": { statuses: SIGNED_IN },
  "get /users": { statuses: ADMIN_ONLY },
  "get /users/{id}": { statuses: ADMIN_ONLY, path: account },
  "delete /users/{id}/bounce": {
    statuses: "401 403 403 403 204 403 204 403 401 401",
    path: (world) => `${account(world)}/bounce`,
  },
  "patch /users/{id}": {
    statuses: "401 403 403 403 200 403 200 403 401 401",
    path: account,
    body: () => ({ first_name: "Grace" }),
  },
  "delete /users/{id}": { statuses: ADMIN_ONLY.replace("200", "204"), path: spareAccount },
  "put /users/{id}/role": {
    statuses: ADMIN_ONLY,
    path: async (world) => `${account(world)}/role`,
    body: () => ({ role: "user" }),
  },
  "post /users/{id}/block": {
    statuses: ADMIN_ONLY,
    path: async (world, caller) => `${await spareAccount(world, caller)}/block`,
    body: () => ({ reason: "spam" }),
  },
  "delete /users/{id}/block": { statuses: ADMIN_ONLY, path: async (world) => `${account(world)}/block` },

  "put /users/{id}/avatar": {
    statuses: "401 403 403 403 200 403 200 403 401 401",
    path: (world) => `${account(world)}/avatar`,
    body: () => PICTURE,
  },
  "delete /users/{id}/avatar": {
    statuses: "401 403 403 403 200 403 200 403 401 401",
    path: (world) => `${account(world)}/avatar`,
  },

  "post /security/login": {
    statuses: anyone(200),
    body: async ({ spare }) => ({ login: (await spare()).login, password: PASSWORD }),
  },
  "post /security/refresh": {
    statuses: anyone(200),
    body: async ({ spare }) => ({ refresh_token: (await spare()).refresh_token }),
  },
  "post /security/logout": { statuses: SIGNED_IN.replaceAll("200", "204"), spends: true },
  "post /security/code": { statuses: "401 204 409 409 409 409 409 403 401 401" },
  "post /security/verify": {
    statuses: "401 422 409 409 409 409 409 403 401 401",
    body: () => ({ code: "NOTACODE" }),
  },
  "post /security/password": {
    statuses: SIGNED_IN.replaceAll("200", "204"),
    body: () => ({ current: PASSWORD, new: "Other-Horse2" }),
    spends: true,
  },
  "post /security/recover": { statuses: anyone(204), body: () => ({ email: `${newLogin()}@nowhere.test` }) },
  "post /security/reset": {
    statuses: anyone(422),
    body: () => ({ email: `${newLogin()}@nowhere.test`, code: "NOTACODE", new: "Other-Horse2" }),
  },
  "get /notifications": { statuses: SIGNED_IN },
  "post /notifications/read": { statuses: SIGNED_IN, body: () => ({ all: true }) },
  "get /notifications/settings": { statuses: SIGNED_IN },
  "put /notifications/settings": { statuses: SIGNED_IN, body: () => ({ bell: { like: true } }) },
  "post /notifications/unsubscribe": {
    statuses: anyone(200),
    path: async ({ spare }) =>
      `/notifications/unsubscribe?token=${unsubscribeToken(app.ctx.secret, (await spare()).id)}`,
  },

  "get /nodes": { statuses: ADMIN_ONLY },
  "get /jobs": { statuses: ADMIN_ONLY },
  "post /jobs/{id}/retry": { statuses: ADMIN_ONLY, path: async () => `/jobs/${await deadJob()}/retry` },
  "delete /jobs/{id}": {
    statuses: ADMIN_ONLY.replace("200", "204"),
    path: async () => `/jobs/${await deadJob()}`,
  },

  "get /moderation/log": { statuses: ADMIN_ONLY },
  "post /reports": {
    statuses: "401 403 404 201 201 201 201 403 401 401",
    body: ({ post }) => ({ target: { kind: "post", id: post }, reason: "spam" }),
  },
  "get /reports": { statuses: STAFF_ONLY },
  "post /reports/{id}/take": { statuses: STAFF_ONLY, path: async (world) => `/reports/${await report(world)}/take` },
  "delete /reports/{id}/take": { statuses: STAFF_ONLY, path: async (world) => `/reports/${await report(world)}/take` },
  "post /reports/{id}/close": {
    statuses: STAFF_ONLY,
    path: async (world) => `/reports/${await report(world)}/close`,
    body: () => ({ outcome: "dismissed" }),
  },

  "post /mail/inbox": {
    statuses: anyone(200),
    body: async ({ spare }) => ({ email: (await spare()).email, password: PASSWORD }),
  },

  "post /pages": { statuses: "401 403 201 201 201 201 201 403 401 401", body: () => ({ name: "A page" }) },
  "get /pages": { statuses: SIGNED_IN, path: () => "/pages?owner=me" },
  "get /pages/{id}": { statuses: SIGNED_IN },
  "get /pages/{id}/stats": { statuses: OWNER_ONLY },
  "patch /pages/{id}": { statuses: OWNER_ONLY, body: () => ({ description: "New" }) },
  "delete /pages/{id}": { statuses: OWNER_ONLY.replace("200", "204"), path: freshPage },
  "put /pages/{id}/avatar": { statuses: OWNER_ONLY, body: () => PICTURE },
  "delete /pages/{id}/avatar": { statuses: OWNER_ONLY },
  "put /pages/{id}/tags/{tag}": { statuses: OWNER_ONLY },
  "delete /pages/{id}/tags/{tag}": { statuses: OWNER_ONLY },
  "get /people/{login}": { statuses: SIGNED_IN },
  "get /people/{login}/pages": { statuses: SIGNED_IN },
  "post /pages/{id}/block": {
    statuses: STAFF_ONLY,
    path: async (world) => `${await freshPage(world)}/block`,
    body: () => ({ reason: "spam", until: tomorrow() }),
  },
  "delete /pages/{id}/block": { statuses: STAFF_ONLY, path: async (world) => `${await freshPage(world)}/block` },

  "put /pages/{id}/follow": { statuses: "401 403 200 200 409 200 200 403 401 401" },
  "delete /pages/{id}/follow": { statuses: SIGNED_IN, path: ({ open }) => `/pages/${open}/follow` },
  "get /users/me/following": { statuses: SIGNED_IN },
  "get /users/me/requests": { statuses: SIGNED_IN },
  "get /pages/{id}/followers": { statuses: WHO_SEES },
  "delete /pages/{id}/followers/{user_id}": {
    statuses: OWNER_ONLY.replace("200", "204"),
    path: async ({ open, spare }) => {
      const person = await spare();
      await app.follow(person, open);
      return `/pages/${open}/followers/${person.id}`;
    },
  },
  "get /pages/{id}/requests": { statuses: OWNER_ONLY },
  "post /pages/{id}/requests/accept": {
    statuses: OWNER_ONLY,
    path: ({ lonely }) => `/pages/${lonely}/requests/accept`,
    body: () => ({ all: true }),
  },
  "post /pages/{id}/requests/reject": {
    statuses: OWNER_ONLY,
    path: ({ lonely }) => `/pages/${lonely}/requests/reject`,
    body: () => ({ all: true }),
  },

  "post /pages/{id}/posts": { statuses: OWNER_ONLY.replace("200", "201"), body: () => ({ text: "Hello" }) },
  "get /pages/{id}/posts": { statuses: WHO_SEES },
  "get /posts/{id}": { statuses: WHO_SEES, path: ({ post }) => `/posts/${post}` },
  "get /posts/{id}/replies": { statuses: WHO_SEES, path: ({ post }) => `/posts/${post}/replies` },
  "patch /posts/{id}": {
    statuses: "401 403 404 403 200 403 403 403 401 401",
    path: ({ post }) => `/posts/${post}`,
    body: () => ({ text: "Edited" }),
  },
  "post /posts/{id}/retry": {
    statuses: "401 403 404 403 409 403 403 403 401 401",
    path: ({ post }) => `/posts/${post}/retry`,
  },
  "delete /posts/{id}": { statuses: "401 404 404 403 204 204 204 403 401 401", path: freshPost },
  "put /posts/{id}/like": {
    statuses: "401 403 404 200 200 200 200 403 401 401",
    path: ({ post }) => `/posts/${post}/like`,
  },
  "delete /posts/{id}/like": { statuses: SIGNED_IN, path: ({ post }) => `/posts/${post}/like` },
  "get /photos/{key}": {
    statuses: "404 404 404 200 200 200 200 403 401 401",
    path: ({ photo }) => `/photos/${photo}`,
  },
  "get /photos/{key}/{width}": {
    statuses: "404 404 404 200 200 200 200 403 401 401",
    path: ({ photo }) => `/photos/${photo}/320`,
  },
  "put /photos/cookie": { statuses: SIGNED_IN.replaceAll("200", "204") },
  "delete /photos/cookie": { statuses: SIGNED_IN.replaceAll("200", "204") },
  "get /users/me/likes": { statuses: SIGNED_IN },
  "put /vk/token": { statuses: SIGNED_IN.replaceAll("200", "204"), body: vkToken },
  "delete /vk/token": { statuses: SIGNED_IN.replaceAll("200", "204") },
  "post /vk/captcha": {
    statuses: SIGNED_IN.replaceAll("200", "204"),
    body: () => ({ captcha_sid: "1", captcha_key: "x" }),
  },
  "get /vk/users/{id}": { statuses: SIGNED_IN, path: withVkToken("/vk/users/me") },
  "get /vk/users/{id}/videos": { statuses: SIGNED_IN, path: withVkToken("/vk/users/101/videos") },
  "get /feed": { statuses: SIGNED_IN },
  "get /search": { statuses: SIGNED_IN, path: () => "/search?q=birds" },
  "post /feed/ticket": { statuses: SIGNED_IN },
  "post /kv/write": { statuses: SIGNED_IN.replaceAll("200", "201"), body: () => ({ data: { a: 1 } }) },
  "post /kv/read": { statuses: SIGNED_IN.replaceAll("200", "404"), body: () => ({ keys: [crypto.randomUUID()] }) },
  "post /kv/delete": { statuses: SIGNED_IN, body: () => ({ keys: ["a"] }) },
  "get /kv/keys": { statuses: SIGNED_IN },
  // Without a handshake the answer names the supported protocol.
  "get /feed/live": { statuses: SIGNED_IN.replaceAll("200", "426") },
};

Deno.test("Every declared endpoint is in the table of permissions, and the table has no others", () => {
  const declared = app.contract.operations().map(({ method, path }) => `${method} ${path.replace("/api/v1", "")}`);
  assert.deepEqual(Object.keys(TABLE).sort(), [...new Set([...declared, "get /feed/live"])].sort());
});

/**
 * `tests/chaos/cache_and_bus_down_test.ts` compares the answers without these servers. Crops wait for them.
 */
const killed = Deno.env.get("TEST_KILLED")?.split(" ") ?? [];

for (const [call, row] of Object.entries(TABLE)) {
  const name = `${call.toUpperCase().replace(/ .*/, "")} ${call.split(" ")[1]} answers each caller as it should`;
  Deno.test(name, { ignore: killed.length > 0 && call.endsWith("/avatar") }, async () => {
    const world = await theWorld();
    const [method, template] = call.split(" ") as [string, string];
    const got: Record<string, string> = {};
    const expected: Record<string, string> = {};
    const statuses = row.statuses.split(" ");
    for (const [i, name] of CALLERS.entries()) {
      const caller = row.spends ? await made(name) : world.callers[name];
      const path = await row.path?.(world, name) ?? filled(template, world);
      const body = await row.body?.(world, name);
      const answer = await app.call(method.toUpperCase(), path, {
        token: name === "refresh token" ? caller?.refresh_token : caller?.token,
        body,
        undeclared: call === "get /feed/live",
      });
      got[name] = shown(answer);
      const refused = statuses[i] === "401" || statuses[i] === "403";
      const reason = refused ? FIRST_REASON[name] : undefined;
      expected[name] = reason ? `${statuses[i]} ${reason}` : `${statuses[i]} ${answer.slug ?? ""}`.trim();
    }
    assert.deepEqual(got, expected);
  });
}

for (const path of ["/healthz", "/readyz", "/metrics", "/.well-known/jwks.json"]) {
  // With METRICS_TOKEN no caller's token opens `/metrics`: `tests/http/metrics_test.ts`.
  Deno.test(`GET ${path} answers every caller, with and without a token`, { ignore: killed.length > 0 }, async () => {
    const { callers } = await theWorld();
    for (const name of CALLERS) {
      const caller = callers[name];
      const token = name === "refresh token" ? caller?.refresh_token : caller?.token;
      assert.equal((await app.call("GET", path, { token })).status, 200, name);
    }
  });
}

function shown({ status, slug }: Answer): string {
  return slug === undefined ? String(status) : `${status} ${slug}`;
}

function filled(template: string, { page, owner }: World): string {
  return template.replace("{id}", page).replace("{tag}", "birds").replace("{login}", owner.login);
}

/** An unrelated caller of one kind. */
async function made(name: CallerName): Promise<Person | undefined> {
  if (name === "anonymous") return undefined;
  if (name === "moderator" || name === "admin") return await app.person({ role: name });
  const person = await app.person({ verified: name !== "unverified" });
  if (name === "blocked") {
    const { token } = await app.admin();
    await app.ok("POST", `/users/${person.id}/block`, { token, body: { reason: "spam" } });
  }
  if (name === "old session") await app.signIn(person.login);
  return person;
}

function takeAway(): void {
  for (const pid of killed) Deno.kill(Number(pid), "SIGKILL");
}

let world: Promise<World> | undefined;
function theWorld(): Promise<World> {
  return world ??= (async () => {
    const people = await Promise.all(CALLERS.map(async (name) => [name, await made(name)] as const));
    const callers = Object.fromEntries(people) as World["callers"];
    const [owner, follower] = [callers.owner!, callers.follower!];
    const [page, lonely, open] = await Promise.all([
      app.page(owner, { is_private: true }),
      app.page(owner, { is_private: true }),
      app.page(owner),
    ]);
    await app.follow(follower, page.id);
    await app.ok("POST", `/pages/${page.id}/requests/accept`, { token: owner.token, body: { all: true } });
    const post = await app.post(owner, {}, page.id);
    const pictured = await app.post(owner, { photos: [PICTURE] }, page.id);
    assert.equal(pictured.state, "ready");
    takeAway();
    return {
      callers,
      owner,
      follower,
      page: page.id,
      lonely: lonely.id,
      open: open.id,
      post: post.id,
      photo: pictured.photos[0].url.split("/").at(-1),
      spare: () => app.person(),
    };
  })();
}
