import assert from "node:assert/strict";
import { BODY_WITHIN_MS } from "../../contract/waiting_bodies.ts";
import { sleep } from "../../lib/sleep.ts";
import { sharedApp } from "../support/app.ts";
import { half, RawHttp } from "../support/raw_http.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();
const JSON_TYPE = { "Content-Type": "application/json" };
const SLACK_MS = 4_000;

Deno.test("Four thousand incomplete bodies do not delay other requests, and are closed after seconds", async () => {
  const { token } = await app.person();
  const text = half("POST /api/v1/security/login", { ...JSON_TYPE, "Content-Length": "100" }, '{"login":"');
  const begun = Date.now();
  const held = await Promise.all(Array.from({ length: 4_010 }, () => RawHttp.open(app.url, text)));
  const sent = Date.now();
  try {
    for (let i = 0; i < 20; i++) assert.equal((await app.call("GET", "/users/me", { token })).status, 200);
    const body = { name: "A page made meanwhile" };
    assert.equal((await app.call("POST", "/pages", { token, body })).status, 201);
    assert.ok(Date.now() - begun < BODY_WITHIN_MS, "answered while the bodies were incomplete");
    await Promise.all(held.map((each) => each.closedWithin(30_000)));
    assert.deepEqual([...new Set(held.map(({ status }) => status))], [408]);
    const last = Math.max(...held.map(({ closedAt }) => closedAt!)) - sent;
    assert.ok(last > BODY_WITHIN_MS / 2 && last < BODY_WITHIN_MS + SLACK_MS, `the last was closed after ${last} ms`);
    await until("no request in progress", async () => inProgress(await metrics()) === 0);
  } finally {
    held.forEach((each) => each[Symbol.dispose]());
  }
});

Deno.test("A short body that does not arrive is 408 and closes its connection, in every framing", async () => {
  const { token, id, page_id } = await app.person();
  const signed = { ...JSON_TYPE, Authorization: `Bearer ${token}` };
  const sized = { ...signed, "Content-Length": "100" };
  const requests = {
    "in chunks": half(
      "POST /api/v1/security/login",
      { ...JSON_TYPE, "Transfer-Encoding": "chunked" },
      '5\r\n{"log\r\n',
    ),
    "of a post": half(`POST /api/v1/pages/${page_id}/posts`, sized, "{"),
    "of a change": half(`PATCH /api/v1/users/${id}`, sized, "{"),
    "of the store": half("POST /api/v1/kv/read", sized, "{"),
    "of a picture": half(`PUT /api/v1/users/${id}/avatar`, sized, "{"),
    "without a session": half("POST /api/v1/security/login", { ...JSON_TYPE, "Content-Length": "100" }),
  };
  await Promise.all(
    Object.entries(requests).map(async ([name, text]) => {
      using raw = await RawHttp.open(app.url, text);
      const begun = Date.now();
      await raw.closedWithin(20_000);
      assert.equal(raw.status, 408, `${name}: ${raw.received}`);
      assert.match(raw.received, /"type":"[^"]*\/problems\/request-timeout"/, name);
      assert.ok(raw.closedAt! - begun < BODY_WITHIN_MS + SLACK_MS, name);
    }),
  );
});

Deno.test("A body that arrives in pieces within its time is accepted", async () => {
  const body = JSON.stringify({ login: "nobody", password: "Wrong-Horse-1" });
  const head = { ...JSON_TYPE, "Content-Length": `${body.length}` };
  using raw = await RawHttp.open(app.url, half("POST /api/v1/security/login", head, body.slice(0, 10)));
  await sleep(300);
  await raw.send(body.slice(10));
  await until("an answer", async () => raw.status);
  assert.equal(raw.status, 401);
});

async function metrics(): Promise<string> {
  return await (await fetch(`${app.url}/metrics`)).text();
}

function inProgress(text: string): number {
  return Number(/^rookery_http_requests_under_way (\d+)/m.exec(text)?.[1]);
}
