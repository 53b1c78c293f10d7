import assert from "node:assert/strict";
import type { FailureKind } from "../../../services/vk/errors.ts";
import { CAPTCHA_KEY, type Fault, REMIXSTLID, SUCCESS_TOKEN } from "../../../services/vk/fake/faults.ts";
import { users, wall } from "../../../services/vk/methods.ts";
import { VkToken } from "../../../services/vk/token.ts";
import { failureIn, startVk, valueOf } from "../../support/vk.ts";

const error = (code: number, message?: string): Fault => ({
  kind: "error",
  code,
  ...(message === undefined ? {} : { message }),
});

Deno.test("A call is a POST form with the version, and the token is only in the header", async () => {
  await using vk = await startVk();
  assert.equal(valueOf(await vk.as().users.get({ user_ids: [101], fields: ["status"] }))[0]!.status, "hello");
  const [{ http, params, token_from, holder }] = vk.fake.log as [typeof vk.fake.log[number]];
  assert.deepEqual({ http, token_from, holder }, { http: "POST", token_from: "header", holder: "user 101" });
  assert.deepEqual(params, { v: "5.199", user_ids: "101", fields: "status" });
});

Deno.test("Any method can be called by its name", async () => {
  await using vk = await startVk();
  const friends = valueOf(await vk.as().call<{ count: number }>("friends.get", { user_id: 101 }));
  assert.equal(friends.count, 5);
  const checked = await vk.as("fake-service").call("secure.checkToken", { token: "fake-user-101" });
  assert.equal((valueOf(checked) as { user_id: number }).user_id, 101);
  assert.equal(failureIn(await vk.as().call("users.GET")).code, 3);
});

Deno.test("The typed methods return VK's data", async () => {
  await using vk = await startVk();
  const as = vk.as();
  assert.equal(valueOf(await as.wall.get({ owner_id: 101, count: 1 })).count, 14);
  assert.equal(valueOf(await as.video.get({ owner_id: 112, count: 10 })).items.length, 9);
  assert.deepEqual(valueOf(await as.utils.resolveScreenName({ screen_name: "anna_test" })), {
    type: "user",
    object_id: 101,
  });
  for (const mode of ["empty", "error"] as const) {
    vk.fake.switches.unknown_name = mode;
    const result = await as.utils.resolveScreenName({ screen_name: "nobody_here" });
    if (mode === "empty") assert.equal(valueOf(result), undefined);
    else assert.equal(failureIn(result).kind, "not-found");
  }
  assert.ok(Math.abs(valueOf(await as.utils.getServerTime()) - Date.now() / 1000) < 5);
});

Deno.test("Lists are joined, booleans are 1 and 0, undefined values are omitted", async () => {
  await using vk = await startVk();
  await vk.as().call("users.get", { user_ids: [101, "boris_banned"], extended: true, bare: false, none: undefined });
  const { params } = vk.fake.log[0]!;
  assert.deepEqual(params, { v: "5.199", user_ids: "101,boris_banned", extended: "1", bare: "0" });
});

Deno.test("An invalid method name, or a parameter with a token, is never sent", async () => {
  await using vk = await startVk();
  for (const name of ["users.get/../x", "users", "users.get?a=1", "", "../method/users.get"]) {
    await assert.rejects(vk.as().call(name), TypeError, name);
  }
  await assert.rejects(vk.as().call("users.get", { access_token: "fake-user-101" }), TypeError);
  assert.deepEqual(vk.asked(), []);
});

/** The kind of each VK error code, and the number of attempts out of four. */
const CODES: [code: number, kind: FailureKind, tries: number][] = [
  [1, "failing", 4],
  [2, "app", 1],
  [5, "token-dead", 1],
  [6, "too-fast", 4],
  [7, "permission-missing", 1],
  [8, "bug", 1],
  [9, "flood", 1],
  [10, "failing", 4],
  [15, "denied", 1],
  [16, "bug", 1],
  [18, "user-gone", 1],
  [19, "content-blocked", 1],
  [20, "app", 1],
  [23, "bug", 1],
  [29, "quota", 1],
  [30, "profile-private", 1],
  [36, "failing", 4],
  [100, "bug", 1],
  [104, "not-found", 1],
  [113, "not-found", 1],
  [204, "denied", 1],
  [214, "denied", 1],
  [1116, "token-dead", 1],
  [1117, "token-dead", 1],
  [3300, "validation", 1],
  [3610, "token-dead", 1],
  [9999, "bug", 1],
  [424_242, "bug", 1],
];

for (const [code, kind, tries] of CODES) {
  Deno.test(`Code ${code} is "${kind}", with ${tries === 1 ? "one attempt" : `${tries} attempts`}`, async () => {
    await using vk = await startVk();
    vk.fake.fault(error(code), { times: 100 });
    const failure = failureIn(await vk.as().users.get({ user_ids: [101] }));
    assert.deepEqual([failure.kind, failure.code, vk.asked().length], [kind, code, tries]);
  });
}

for (const code of [1, 6, 10]) {
  Deno.test(`Code ${code}, if temporary, is hidden by a retry`, async () => {
    await using vk = await startVk();
    vk.fake.fault(error(code), { times: 2 });
    assert.equal(valueOf(await vk.as().users.get({ user_ids: [101] }))[0]!.id, 101);
    assert.equal(vk.asked().length, 3);
  });
}

/** Responses that are not VK's. */
const BROKEN: Fault[] = [
  { kind: "html", status: 502 },
  { kind: "html", status: 200 },
  { kind: "html", status: 429 },
  { kind: "reset" },
  { kind: "broken-off" },
  { kind: "truncated" },
  { kind: "no-response" },
  { kind: "no-answer" },
  { kind: "slow-body" },
];

for (const fault of BROKEN) {
  const name = "status" in fault ? `${fault.kind} with ${fault.status}` : fault.kind;
  Deno.test(`${name}: retried, and "unreachable" if it persists`, async () => {
    await using vk = await startVk({ attemptMs: 300, breaker: { failures: 100 } });
    vk.fake.fault(fault, { times: 3 });
    assert.equal(valueOf(await vk.as().users.get({ user_ids: [101] }))[0]!.id, 101);
    assert.equal(vk.asked().length, 4);
    vk.fake.fault(fault, { times: 20 });
    const failure = failureIn(await vk.as().users.get({ user_ids: [101] }));
    assert.deepEqual([failure.kind, failure.code], ["unreachable", 0]);
    // The platform may have retried by itself on an existing connection.
    assert.ok([8, 9].includes(vk.asked().length), String(vk.asked().length));
  });
}

Deno.test("A slow response within the time limit of an attempt is accepted", async () => {
  await using vk = await startVk({ attemptMs: 2_000 });
  vk.fake.fault({ kind: "latency", ms: 200 });
  assert.equal(valueOf(await vk.as().users.get({ user_ids: [101] })).length, 1);
  assert.equal(vk.asked().length, 1);
});

Deno.test("All attempts of a call together have a time limit", async () => {
  await using vk = await startVk({ attemptMs: 200, retry: { tries: 50 }, breaker: { failures: 100 } });
  vk.fake.fault({ kind: "no-answer" }, { times: 100 });
  const start = Date.now();
  const ends = await Promise.all([
    vk.as().users.get({}, { deadline: start + 500 }),
    ...await vk.as().bundle([users.get({}), wall.get({})], { deadline: start + 500 }),
  ]);
  for (const end of ends) assert.equal(failureIn(end).kind, "unreachable");
  assert.ok(Date.now() - start < 5_000, `${Date.now() - start} ms`);
});

Deno.test("A call is not repeated if it may have had an effect, but is if it was rejected early", async () => {
  await using vk = await startVk();
  // On an existing connection the platform would retry by itself.
  await vk.as().users.get({});
  vk.fake.forget();
  for (const fault of [error(1), error(10), { kind: "reset" }, { kind: "html", status: 502 }] as Fault[]) {
    vk.fake.fault(fault, { times: 10, method: "captcha.force" });
    await vk.as().call("captcha.force");
    assert.equal(vk.asked().length, 1, fault.kind);
    vk.fake.faults.clear();
    vk.fake.forget();
  }
  vk.fake.fault(error(6), { times: 2, method: "captcha.force" });
  assert.equal(failureIn(await vk.as().call("captcha.force")).kind, "captcha");
  assert.equal(vk.asked().length, 3);
});

Deno.test("An error is recognised with any HTTP status", async () => {
  await using vk = await startVk();
  for (const status of [200, 401, 403, 500]) {
    vk.fake.switches.error_status = status;
    assert.equal(failureIn(await vk.as("fake-expired").users.get({})).kind, "token-dead", String(status));
  }
  assert.equal(vk.asked().length, 4);
});

Deno.test("A captcha of the older form has its picture, and its answer goes with the same call", async () => {
  await using vk = await startVk();
  vk.fake.fault({ kind: "captcha", form: "old" });
  const { kind, captcha } = failureIn(await vk.as().users.get({}));
  assert.equal(kind, "captcha");
  assert.match(captcha!.img!, /^http:\/\/api\.vk\.com\/captcha\.php\?sid=\d+/);
  const answer = { captcha_sid: captcha!.sid!, captcha_key: CAPTCHA_KEY };
  assert.equal(valueOf(await vk.as().users.get({}, { captcha: answer }))[0]!.id, 101);
  assert.equal(vk.asked().length, 2);
});

Deno.test("A captcha of the newer form has its page and its exact number", async () => {
  await using vk = await startVk();
  vk.fake.fault({ kind: "captcha", form: "new" });
  const { captcha } = failureIn(await vk.as().users.get({}));
  assert.match(captcha!.redirect_uri!, /^https:\/\/id\.vk\.com\/not_robot_captcha\?/);
  assert.equal(captcha!.remixstlid, REMIXSTLID);
  const answer = { success_token: SUCCESS_TOKEN, remixstlid: captcha!.remixstlid! };
  assert.equal(valueOf(await vk.as().users.get({}, { captcha: answer }))[0]!.id, 101);
});

Deno.test("Validation and confirmation have the data they need", async () => {
  await using vk = await startVk();
  vk.fake.fault({ kind: "validation" });
  const validation = failureIn(await vk.as().users.get({}));
  assert.deepEqual([validation.kind, validation.code], ["validation", 17]);
  assert.match(validation.redirect_uri!, /^https:\/\/m\.vk\.com\/activation/);
  vk.fake.fault({ kind: "confirmation" });
  const confirmation = failureIn(await vk.as().users.get({}));
  assert.deepEqual([confirmation.kind, confirmation.confirmation_text], ["confirmation", "Are you sure?"]);
  assert.equal(vk.asked().length, 2);
});

Deno.test("After 29 and 9 a method pauses for that token only", async () => {
  for (const [code, kind] of [[29, "quota"], [9, "flood"]] as const) {
    await using vk = await startVk();
    vk.fake.fault(error(code), { method: "wall.get", holder: "user 101" });
    const wall = (token?: string) => vk.as(token).wall.get({ owner_id: 101 });
    assert.equal(failureIn(await wall()).kind, kind);
    assert.equal(failureIn(await wall()).kind, kind);
    assert.equal(vk.asked().length, 1, "VK gets no request");
    assert.equal(valueOf(await wall("fake-user-108")).count, 14);
    assert.equal(valueOf(await vk.as().users.get({})).length, 1);
  }
});

Deno.test("A token echoed by VK is removed from messages", async () => {
  await using vk = await startVk();
  vk.fake.switches.echo_token = true;
  const token = "fake-user-0&x=y%z";
  const failure = failureIn(await vk.as(token).users.get({}));
  assert.equal(failure.kind, "token-dead");
  assert.match(failure.message, /…/);
  assert.ok(!JSON.stringify(failure).includes("fake-user-0"), JSON.stringify(failure));
});

Deno.test("A token is never printed by accident", () => {
  const token = new VkToken("a-secret-word");
  const shown = [`${token}`, JSON.stringify({ token }), Deno.inspect({ token }), String(token)];
  for (const text of shown) assert.ok(!text.includes("secret"), text);
});

Deno.test("A response of another shape is an error, and missing fields are unknown", async () => {
  await using server = answering({
    "users.get": [{ id: 1, online: "yes", counters: { videos: -3 }, status: 7, followers_count: null }],
    "wall.get": { items: [] },
    "video.get": "none",
    "utils.resolveScreenName": null,
  });
  await using vk = await startVk({ url: server.url });
  const as = vk.as();
  assert.deepEqual(valueOf(await as.users.get({})), [{
    id: 1,
    first_name: "",
    last_name: "",
    online: undefined,
    status: undefined,
    followers_count: undefined,
    counters: { videos: undefined },
  }]);
  assert.equal(failureIn(await as.wall.get({})).kind, "unreachable");
  assert.equal(failureIn(await as.video.get({})).kind, "unreachable");
  assert.equal(valueOf(await as.utils.resolveScreenName({ screen_name: "x" })), undefined);
});

Deno.test("An endless response is an error", async () => {
  await using server = answering({ "users.get": [{ id: 101, about: "x".repeat(7 * 1024 * 1024) }] });
  await using vk = await startVk({ url: server.url, retry: { tries: 1 } });
  assert.match(failureIn(await vk.as().users.get({})).message, /too long/);
});

Deno.test("An invalid link is dropped", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    const link = "javascript:alert(1)";
    return Response.json({
      error: { error_code: 14, error_msg: "Captcha needed", redirect_uri: link, captcha_img: link },
    });
  });
  try {
    await using vk = await startVk({ url: `http://127.0.0.1:${server.addr.port}` });
    assert.deepEqual(failureIn(await vk.as().users.get({})).captcha, {});
  } finally {
    await server.shutdown();
  }
});

Deno.test("A redirect gets no token", async () => {
  let followed = 0;
  const elsewhere = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    followed++;
    return Response.json({ response: [] });
  });
  const to = `http://127.0.0.1:${elsewhere.addr.port}/`;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(null, { status: 302, headers: { location: to } }),
  );
  try {
    await using vk = await startVk({ url: `http://127.0.0.1:${server.addr.port}`, retry: { tries: 1 } });
    assert.equal(failureIn(await vk.as().users.get({})).kind, "unreachable");
    assert.equal(followed, 0);
  } finally {
    await Promise.all([server.shutdown(), elsewhere.shutdown()]);
  }
});

/** A server that answers each method with this. */
function answering(responses: Record<string, unknown>): { url: string } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const method = new URL(request.url).pathname.split("/").at(-1)!;
    return Response.json({ response: responses[method] });
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}
