/** The fake compared with the known behaviour of VK, over plain HTTP without the client. */
import assert from "node:assert/strict";
import { startFakeServer } from "../../../services/vk/fake/server.ts";
import { KINDS } from "../../../services/vk/fake/world.ts";

// deno-lint-ignore no-explicit-any -- parsed JSON
type Json = any;

interface Ask {
  token?: string;
  v?: string | null;
  http?: string;
  headers?: Record<string, string>;
}

async function fakeVk() {
  const server = await startFakeServer();
  const { fake, url } = server;
  return {
    fake,
    url,
    /** Sends a form, with the token in the header. */
    async ask(method: string, params: Record<string, string> = {}, ask: Ask = {}): Promise<Json> {
      const { token = "fake-user-101", v = "5.199", headers = {} } = ask;
      const response = await fetch(`${url}/method/${method}`, {
        method: "POST",
        headers: { ...(token === "" ? {} : { authorization: `Bearer ${token}` }), ...headers },
        body: new URLSearchParams({ ...(v === null ? {} : { v }), ...params }),
      });
      assert.equal(response.status, fake.switches.error_status);
      assert.match(response.headers.get("content-type")!, /^application\/json/);
      return await response.json();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

Deno.test("The fake accepts GET, POST, query, form and multipart, and the token by header or parameter", async () => {
  await using vk = await fakeVk();
  const base = `${vk.url}/method/users.get`;
  const bearer = { authorization: "Bearer fake-user-101" };
  const query = "v=5.199&user_ids=108";
  const form = new FormData();
  for (const [name, value] of new URLSearchParams(query)) form.set(name, value);
  const ways: [string, RequestInit, string][] = [
    [`${base}?${query}`, { headers: bearer }, "header"],
    [`${base}?${query}&access_token=fake-user-101`, {}, "query"],
    [`${base}?${query}`, { method: "POST", headers: bearer }, "header"],
    [base, { method: "POST", headers: bearer, body: new URLSearchParams(query) }, "header"],
    [base, { method: "POST", body: new URLSearchParams(`${query}&access_token=fake-user-101`) }, "body"],
    [base, { method: "POST", headers: bearer, body: form }, "header"],
  ];
  vk.fake.switches.calls = 100;
  for (const [url, init, from] of ways) {
    const { response } = await (await fetch(url, init)).json();
    assert.equal(response[0].first_name, "Zoya");
    assert.equal(vk.fake.log.at(-1)!.token_from, from);
  }
  const json = { ...bearer, "content-type": "application/json" };
  const refused = await fetch(base, { method: "POST", headers: json, body: JSON.stringify({ v: "5.199" }) });
  assert.equal((await refused.json()).error.error_code, 8, "JSON is not read");
  assert.equal((await (await fetch(base, { method: "PUT" })).json()).error.error_code, 9999);
  assert.equal((await (await fetch(`${vk.url}/nothing`)).text()).startsWith("<html>"), true);
});

Deno.test("The fake's errors come in VK's envelope, without the token", async () => {
  await using vk = await fakeVk();
  const { error } = await vk.ask("wall.get", { owner_id: "106", count: "10" });
  assert.deepEqual(error, {
    error_code: 15,
    error_msg: "Access denied: user hid his wall from accessing from outside",
    request_params: [
      { key: "v", value: "5.199" },
      { key: "owner_id", value: "106" },
      { key: "count", value: "10" },
      { key: "method", value: "wall.get" },
      { key: "oauth", value: "1" },
    ],
  });
  Object.assign(vk.fake.switches, { echo_order: "first", error_status: 403 });
  assert.equal((await vk.ask("wall.get", { owner_id: "106" })).error.request_params[0].key, "method");
});

/** Each is also wrong in everything that is checked later. */
const ORDER: [what: string, method: string, params: Record<string, string>, ask: Ask, code: number][] = [
  ["an unknown method", "users.GET", {}, { v: null, token: "" }, 3],
  ["no version", "video.get", {}, { v: null, token: "" }, 8],
  ["an old version", "video.get", {}, { v: "5.80", token: "" }, 8],
  ["no token", "video.get", {}, { token: "" }, 5],
  ["a wrong token", "video.get", {}, { token: "nonsense" }, 5],
  ["an app's token", "video.get", { count: "-1" }, { token: "fake-service" }, 28],
  ["a community's token", "video.get", { count: "-1" }, { token: "fake-group" }, 27],
  ["a user's token for an app's method", "secure.checkToken", {}, {}, 8],
  ["a parameter out of range", "video.get", { count: "201", owner_id: "104" }, {}, 100],
  ["a closed profile", "video.get", { owner_id: "104" }, {}, 30],
];

Deno.test("The fake checks in order: method, version, token, its kind, parameters, access", async () => {
  await using vk = await fakeVk();
  vk.fake.switches.calls = 100;
  for (const [what, method, params, ask, code] of ORDER) {
    assert.equal((await vk.ask(method, params, ask)).error.error_code, code, what);
  }
});

Deno.test("The fake counts calls of a token in a fixed second, before parameters and after its kind", async () => {
  await using vk = await fakeVk();
  vk.fake.freeze();
  const code = async (token: string, method = "users.get", params = {}) =>
    (await vk.ask(method, params, { token })).error?.error_code ?? 0;
  assert.deepEqual([await code("fake-user-101"), await code("fake-user-101"), await code("fake-user-101")], [0, 0, 0]);
  assert.equal(await code("fake-user-101"), 6);
  assert.equal(await code("fake-user-101", "users.get", { user_ids: "nobody_here" }), 6);
  assert.equal(await code("fake-user-108"), 0, "another token");
  vk.fake.advance(999);
  assert.equal(await code("fake-user-101"), 6);
  vk.fake.advance(1);
  assert.equal(await code("fake-user-101"), 0);
  for (let i = 0; i < 20; i++) assert.equal(await code("fake-group"), 0);
  assert.equal(await code("fake-group"), 6);
  assert.equal(await code("fake-group", "wall.get"), 27);
});

Deno.test("A fixed window lets six through around its end where a sliding one does not", async () => {
  for (const [window, through] of [["fixed", 3], ["sliding", 1]] as const) {
    await using vk = await fakeVk();
    vk.fake.switches.window = window;
    vk.fake.freeze();
    await vk.ask("users.get");
    vk.fake.advance(990);
    for (let i = 0; i < 2; i++) await vk.ask("users.get");
    vk.fake.advance(20);
    let passed = 0;
    for (let i = 0; i < 3; i++) passed += Number((await vk.ask("users.get")).error === undefined);
    assert.equal(passed, through, window);
  }
});

Deno.test("The fake counts wall.get by the day, within execute as well", async () => {
  await using vk = await fakeVk();
  Object.assign(vk.fake.switches, { wall_gets_a_day: 2, calls: 100 });
  vk.fake.freeze();
  const wall = async () => (await vk.ask("wall.get", { owner_id: "101" })).error?.error_code ?? 0;
  assert.equal(await wall(), 0);
  const { response } = await vk.ask("execute", { code: 'return [API.wall.get({"owner_id":101})];' });
  assert.equal(response[0].count, 14);
  assert.equal(await wall(), 29);
  vk.fake.advance(24 * 3_600_000);
  assert.equal(await wall(), 0);
});

Deno.test("The fake returns its people like users.get", async () => {
  await using vk = await fakeVk();
  vk.fake.switches.calls = 1_000;
  const fields = "online,online_info,status,followers_count,counters";
  const get = async (user_ids: string, token?: string) =>
    (await vk.ask("users.get", { user_ids, fields }, token === undefined ? {} : { token })).response;
  const [anna] = await get("101");
  assert.deepEqual([anna.online, anna.status, anna.followers_count, anna.counters.videos], [1, "hello", 62, 8]);
  assert.deepEqual(await get("102"), [{ id: 102, first_name: "DELETED", last_name: "", deactivated: "deleted" }]);
  assert.equal((await get("103"))[0].deactivated, "banned");
  const [closed] = await get("104");
  assert.deepEqual([closed.is_closed, closed.can_access_closed, closed.counters], [true, false, undefined]);
  assert.equal((await get("105"))[0].can_access_closed, true);
  assert.equal((await get("105", "fake-user-108"))[0].can_access_closed, false);
  assert.equal((await get("104", "fake-user-104"))[0].can_access_closed, true);
  assert.equal((await get("109"))[0].counters, undefined);
  assert.equal((await get("110"))[0].online_info.visible, false);
  assert.equal((await get("101", "fake-service"))[0].counters, undefined);
  // Counters are of one user only; the order is VK's own.
  const two = await get("101,anna_test,108");
  assert.deepEqual(two.map(({ id, counters }: Json) => [id, counters]), [[108, undefined], [101, undefined], [
    101,
    undefined,
  ]]);
  // No fields that were not requested.
  assert.deepEqual(Object.keys((await vk.ask("users.get")).response[0]).sort(), [
    "can_access_closed",
    "first_name",
    "id",
    "is_closed",
    "last_name",
  ]);
});

Deno.test("The fake hides walls and videos like VK", async () => {
  await using vk = await fakeVk();
  vk.fake.switches.calls = 1_000;
  const refusal = async (method: string, owner_id: string) => {
    const { error } = await vk.ask(method, { owner_id });
    return error && `${error.error_code} ${error.error_msg}`;
  };
  const expected: Record<string, string | undefined> = {
    "wall.get 101": undefined,
    "wall.get 102": "18 User was deleted or banned",
    "wall.get 104": "30 This profile is private",
    "wall.get 105": undefined,
    "wall.get 106": "15 Access denied: user hid his wall from accessing from outside",
    "wall.get 107": "15 Access denied: wall is disabled",
    "wall.get 108": undefined,
    "wall.get 113": "19 Content blocked",
    "wall.get -3001": "15 Access denied: this wall available only for community members",
    "video.get 111": "204 Access denied",
    "video.get 104": "30 This profile is private",
  };
  for (const [call, words] of Object.entries(expected)) {
    const [method, owner] = call.split(" ") as [string, string];
    assert.equal(await refusal(method, owner), words, call);
  }
  const { response: page } = await vk.ask("video.get", { owner_id: "112", count: "20", offset: "240" });
  assert.deepEqual([page.count, page.items.length], [250, 9], "hidden ones are left out of the items alone");
  const { response: wall } = await vk.ask("wall.get", { domain: "anna_test", count: "2", offset: "13" });
  assert.deepEqual([wall.count, wall.items.length, wall.items[0].type], [14, 1, "post"]);
});

Deno.test("The fake runs a script's calls, and returns failed ones separately", async () => {
  await using vk = await fakeVk();
  vk.fake.switches.calls = 1_000;
  const run = (code: string, token?: string) => vk.ask("execute", { code }, token === undefined ? {} : { token });
  const { response, execute_errors } = await run(
    'return [API.wall.get({"owner_id": 101, "count": 0}), API.wall.get({"owner_id": 104}),\n' +
      '  [API.utils.getServerTime(), {"a": ["]", "}"]}, null, -1.5, "x\\"y"]];',
  );
  assert.deepEqual(response.slice(0, 2), [{ count: 14, items: [] }, false]);
  assert.deepEqual(response[2].slice(1), [{ a: ["]", "}"] }, null, -1.5, 'x"y']);
  assert.deepEqual(execute_errors, [{ method: "wall.get", error_code: 30, error_msg: "This profile is private" }]);
  assert.equal((await run("return API.users.get({});")).response[0].id, 101);
  for (
    const code of [
      "return [",
      "",
      "var a = 1; return a;",
      "return API.users.get(1);",
      "return 1; return 2;",
      "return x;",
    ]
  ) {
    assert.ok([12, 100].includes((await run(code)).error.error_code), code);
  }
  const calls = (count: number) => `return [${Array(count).fill("API.utils.getServerTime()").join(",")}];`;
  assert.equal((await run(calls(25))).response.length, 25);
  assert.equal((await run(calls(26))).error.error_code, 13);
  assert.equal((await run(calls(1), "fake-service")).response.length, 1);
  vk.fake.switches.service_execute = false;
  assert.equal((await run(calls(1), "fake-service")).error.error_code, 28);
});

Deno.test("One execute counts as one call", async () => {
  await using vk = await fakeVk();
  vk.fake.freeze();
  const code = "return [API.utils.getServerTime(),API.utils.getServerTime(),API.utils.getServerTime()];";
  for (let i = 0; i < 3; i++) assert.equal((await vk.ask("execute", { code })).response.length, 3);
  assert.equal((await vk.ask("execute", { code })).error.error_code, 6);
});

Deno.test("Unconfirmed behaviour of VK can be switched", async () => {
  await using vk = await fakeVk();
  const { switches } = vk.fake;
  switches.calls = 1_000;
  const code = async (method: string, params: Record<string, string>, ask?: Ask) => {
    const { error } = await vk.ask(method, params, ask);
    return error?.error_code ?? 0;
  };
  const service = { token: "fake-service" };
  const unknown = { user_ids: "1000000000" };
  assert.deepEqual((await vk.ask("users.get", unknown)).response, []);
  switches.unknown_id = "error";
  assert.equal(await code("users.get", unknown), 113);
  assert.equal(await code("users.get", { user_ids: "nobody_here" }), 113);
  assert.deepEqual((await vk.ask("users.get", {}, service)).response, []);
  switches.nobody_named = "error";
  assert.equal(await code("users.get", {}, service), 100);
  assert.deepEqual((await vk.ask("utils.resolveScreenName", { screen_name: "nobody_here" })).response, []);
  switches.unknown_name = "error";
  assert.equal(await code("utils.resolveScreenName", { screen_name: "nobody_here" }), 104);
  for (const no_token of [5, 8, 15] as const) {
    switches.no_token = no_token;
    assert.equal(await code("users.get", {}, { token: "" }), no_token);
  }
  assert.match((await vk.ask("users.get", {}, { v: null })).error.error_msg, /v is required/);
  switches.no_version_text = 2018;
  assert.match((await vk.ask("users.get", {}, { v: null })).error.error_msg, /v \(version\) is required/);
  switches.service_counters = true;
  const [anna] = (await vk.ask("users.get", { user_ids: "101", fields: "counters" }, service)).response;
  assert.equal(anna.counters.videos, 8);
  assert.match((await vk.ask("wall.get", { count: "101" })).error.error_msg, /: count is invalid$/);
  switches.names_parameter = false;
  assert.match((await vk.ask("wall.get", { count: "101" })).error.error_msg, /missing or invalid$/);
  switches.gone_flags = true;
  assert.equal((await vk.ask("users.get", { user_ids: "102" })).response[0].is_closed, false);
});

Deno.test("Invalid tokens have their reason", async () => {
  await using vk = await fakeVk();
  const words = async (token: string) => (await vk.ask("users.get", {}, { token })).error.error_msg;
  assert.match(await words("fake-expired"), /access_token has expired\.$/);
  assert.match(await words("fake-revoked"), /user revoke access/);
  assert.match(await words("fake-user-102"), /invalid session/);
  for (const token of ["x", "fake-user-0", "fake-user-x", "fake-user-"]) assert.match(await words(token), /\(4\)\.$/);
});

Deno.test("secure.checkToken and captcha.force behave like VK's", async () => {
  await using vk = await fakeVk();
  vk.fake.switches.calls = 100;
  const service = { token: "fake-service" };
  const { response } = await vk.ask("secure.checkToken", { token: "fake-user-101" }, service);
  assert.deepEqual([response.success, response.user_id, response.expire], [1, 101, 0]);
  const { error } = await vk.ask("secure.checkToken", { token: "fake-revoked" }, service);
  assert.deepEqual([error.error_code, error.error_msg], [15, "Access denied: Incorrect token invalid_token"]);
  assert.equal((await vk.ask("captcha.force")).error.error_code, 14);
});

Deno.test("The fake can be controlled over HTTP, and its log has no token", async () => {
  await using vk = await fakeVk();
  const steer = async (http: string, path: string, body?: unknown) => {
    const response = await fetch(vk.url + path, {
      method: http,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  vk.fake.switches.calls = 1_000;
  const state = (await steer("GET", "/fake")).body;
  assert.deepEqual(state.users.map(({ id }: Json) => id), KINDS.map(({ id }) => id));
  await steer("POST", "/fake/faults", { fault: { kind: "error", code: 10 }, method: "users.get", holder: "user 101" });
  assert.equal((await vk.ask("users.get", {}, { token: "fake-service" })).error, undefined);
  assert.equal((await vk.ask("users.get")).error.error_code, 10);
  assert.equal((await vk.ask("users.get")).error, undefined);
  await steer("POST", "/fake/faults", { fault: { kind: "validation" } });
  await steer("DELETE", "/fake/faults");
  assert.equal((await vk.ask("users.get")).error, undefined);
  await steer("PUT", "/fake/clock", { frozen_at: 1_700_000_000_000 });
  await steer("PUT", "/fake/clock", { advance_ms: 5_000 });
  assert.equal((await vk.ask("utils.getServerTime")).response, 1_700_000_005);
  await steer("PUT", "/fake/switches", { unknown_id: "error" });
  assert.equal((await vk.ask("users.get", { user_ids: "1000000000" })).error.error_code, 113);
  const wrong: [string, string, unknown][] = [
    ["PUT", "switches", { nothing: 1 }],
    ["PUT", "switches", { calls: "3" }],
    ["POST", "faults", {}],
    ["POST", "faults", null],
    ["POST", "faults", { fault: { kind: "nonsense" } }],
    ["POST", "faults", { fault: { kind: "error" } }],
  ];
  for (const [http, path, body] of wrong) assert.equal((await steer(http, `/fake/${path}`, body)).status, 400);
  assert.equal((await steer("GET", "/fake/nothing")).status, 404);
  const log = (await steer("GET", "/fake/log")).body;
  assert.ok(log.length > 5 && !JSON.stringify(log).includes("fake-"), JSON.stringify(log[0]));
  await steer("DELETE", "/fake/log");
  assert.deepEqual((await steer("GET", "/fake/log")).body, []);
  await steer("PUT", "/fake/reset");
  assert.deepEqual((await vk.ask("users.get", { user_ids: "1000000000" })).response, []);
});
