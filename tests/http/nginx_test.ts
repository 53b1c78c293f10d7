/**
 * A node behind the nginx block of `docs/deployment.md`. Each loopback address is a separate caller.
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { ownApp, type TestApp } from "../support/app.ts";
import { registration } from "../support/person.ts";
import { Listener } from "../support/listener.ts";
import { half, RawHttp } from "../support/raw_http.ts";
import { hasNginx, startNginx } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const app = ownApp({ RATE_LIMITS: "on", TRUSTED_PROXIES: "127.0.0.1", NATS_URL: "", REDIS_URL: "" });
const options = { ignore: !hasNginx() };
const SIGN_INS = 20;

interface Call {
  headers?: Record<string, string>;
  body: unknown;
}

/** The status of a POST from one address, on its own connection. */
async function post(from: string, url: string, { headers = {}, body }: Call): Promise<number> {
  using client = Deno.createHttpClient({ localAddress: from });
  const response = await fetch(url, {
    client,
    method: "POST",
    headers: { "content-type": "application/json", connection: "close", ...headers },
    body: JSON.stringify(body),
  });
  await response.body?.cancel();
  return response.status;
}

function wrong(app: TestApp, i: number): Call {
  return { body: { login: `nobody${i}x${app.ctx.config.PORT}`, password: "Wrong-Horse1" } };
}

Deno.test("Behind nginx calls are answered and a live socket opens", options, async () => {
  await using nginx = await startNginx(app.url);
  const { token } = await app.person();
  const headers = { authorization: `Bearer ${token}` };
  const me = await fetch(`${nginx.url}/api/v1/users/me`, { headers });
  assert.equal(me.status, 200);
  await me.body?.cancel();
  await using listener = await Listener.open({ node: nginx, token });
  await listener.next("hello");
});

Deno.test(
  "Behind nginx each caller has separate limits, which its own headers cannot change",
  options,
  async () => {
    await using nginx = await startNginx(app.url);
    const signIn = `${nginx.url}/api/v1/security/login`;
    const { login, password } = await app.person();
    for (let i = 0; i < SIGN_INS; i++) assert.equal(await post("127.0.0.2", signIn, wrong(app, i)), 401);
    assert.equal(await post("127.0.0.2", signIn, wrong(app, SIGN_INS)), 429);
    for (
      const headers of [
        { "x-forwarded-for": "203.0.113.1" },
        { "x-forwarded-for": "127.0.0.1" },
        { forwarded: "for=203.0.113.2" },
        { "x-forwarded-for": "203.0.113.3", forwarded: "for=203.0.113.3" },
        { "x-rookery-address": "203.0.113.4" },
      ]
    ) {
      assert.equal(await post("127.0.0.2", signIn, { ...wrong(app, 0), headers }), 429, JSON.stringify(headers));
    }
    assert.equal(await post("127.0.0.3", signIn, { body: { login, password } }), 200);
  },
);

Deno.test("Without nginx an untrusted caller's headers are ignored", async () => {
  const signIn = `${app.url}/api/v1/security/login`;
  const from = (i: number) => ({ ...wrong(app, i), headers: { "x-forwarded-for": `203.0.113.${i}` } });
  for (let i = 0; i < SIGN_INS; i++) assert.equal(await post("127.0.0.4", signIn, from(i)), 401);
  assert.equal(await post("127.0.0.4", signIn, from(SIGN_INS)), 429);
});

Deno.test("The addresses of one IPv6 /64 share limits, and others are not affected", async () => {
  const signIn = `${app.url}/api/v1/security/login`;
  const from = (address: string, i: number) =>
    post("127.0.0.1", signIn, { ...wrong(app, i), headers: { "x-forwarded-for": address } });
  for (let i = 0; i < SIGN_INS; i++) assert.equal(await from(`2001:db8:1:2::${i.toString(16)}:1`, i), 401);
  assert.equal(await from("2001:db8:1:2:ffff::1", SIGN_INS), 429);
  assert.equal(await from("2001:db8:1:3::1", SIGN_INS), 401);
});

Deno.test("Behind nginx callers have separate Idempotency-Keys", options, async () => {
  await using nginx = await startNginx(app.url);
  const call = () => ({ headers: { "idempotency-key": "the-same" }, body: registration() });
  assert.equal(await post("127.0.0.5", `${nginx.url}/api/v1/users`, call()), 201);
  assert.equal(await post("127.0.0.6", `${nginx.url}/api/v1/users`, call()), 201);
  assert.equal(await post("127.0.0.5", `${nginx.url}/api/v1/users`, call()), 422);
});

Deno.test(
  "Behind nginx missing heads and bodies are closed, slow ones pass, and a live socket stays open",
  options,
  async () => {
    await using nginx = await startNginx(app.url);
    const { token } = await app.person();
    await using listener = await Listener.open({ node: nginx, token });
    await listener.next("hello");
    const login = { "Content-Type": "application/json", "Content-Length": "60" };
    using halfHead = await RawHttp.open(nginx.url, "GET / HTTP/1.1\r\nHost: rookery.test\r\n");
    using halfBody = await RawHttp.open(nginx.url, half("POST /api/v1/security/login", login, '{"login":'));
    using slow = await RawHttp.open(nginx.url, half("POST /api/v1/security/login", login, '{"login":"nobody",'));
    const begun = Date.now();
    await sleep(3_000);
    await slow.send('"password":"Wrong-Horse-1"}'.padEnd(42));
    await until("an answer to the slow request", async () => slow.status);
    assert.equal(slow.status, 401);
    await Promise.all([halfHead, halfBody].map((each) => each.closedWithin(16_000)));
    assert.ok(Date.now() - begun > 8_000, "no connection was closed early");
    assert.equal(halfBody.status, 408);
    const { page_id, token: author } = await app.person();
    await app.call("PUT", `/pages/${page_id}/follow`, { token });
    await app.call("POST", `/pages/${page_id}/posts`, { token: author, body: { text: "Still here?" } });
    await listener.next("post.created");
  },
);
