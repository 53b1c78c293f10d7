/** A node without the role `kv` forwards `/kv/*`. This file has a fake store at `KV_URL`. */
import assert from "node:assert/strict";
import { Hop } from "../../services/kv/forwarded_address.ts";
import { Secret } from "../../security/secret.ts";
import { sleep } from "../../lib/sleep.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { freePort } from "../support/servers.ts";

const ROLES = "api,actors,storage";
const SECRET_KEY = "a secret for tests only, long enough";

interface Store extends AsyncDisposable {
  url: string;
  asked: Request[];
}

/** A store with scripted answers. */
function play(answer: (request: Request) => Response | Promise<Response>): Store {
  const asked: Request[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    // A copy, since the body of an answered request is lost.
    const { url, method, headers } = request;
    asked.push(new Request(url, { method, headers }));
    return answer(request);
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, asked, [Symbol.asyncDispose]: () => server.shutdown() };
}

function nodeBefore(url: string): Promise<TestApp> {
  return startApp({ ROLES, SECRET_KEY, KV_URL: `${url}/` });
}

function post(app: TestApp, path: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${app.url}/api/v1${path}`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
}

Deno.test("A call is forwarded unchanged with the caller's address, and the answer is returned unchanged", async () => {
  const bodies: string[] = [];
  await using store = play(async (request) => {
    bodies.push(await request.text());
    return new Response('{"data":{"a":1e400}}', {
      status: 418,
      headers: {
        "content-type": "application/json",
        "x-request-id": "theirs",
        "ratelimit": '"x";r=1;t=2',
        "retry-after": "7",
      },
    });
  });
  await using app = await nodeBefore(store.url);
  const answer = await post(app, "/kv/read?a=%20b", '{"keys":["a"]}', {
    authorization: "Bearer token",
    "idempotency-key": "key",
    cookie: "rookery_photos=secret",
    "x-rookery-address": "192.0.2.7",
    "x-rookery-token": "guessed",
    "x-request-id": "ours",
  });
  assert.deepEqual([answer.status, await answer.text()], [418, '{"data":{"a":1e400}}']);
  for (const [name, value] of [["x-request-id", "theirs"], ["ratelimit", '"x";r=1;t=2'], ["retry-after", "7"]]) {
    assert.equal(answer.headers.get(name!), value);
  }
  const [asked] = store.asked;
  assert.deepEqual([asked!.method, new URL(asked!.url).pathname + new URL(asked!.url).search], [
    "POST",
    "/api/v1/kv/read?a=%20b",
  ]);
  assert.deepEqual(bodies, ['{"keys":["a"]}']);
  const names = ["authorization", "content-type", "idempotency-key", "x-request-id", "cookie"];
  const sent = names.map((name) => asked!.headers.get(name));
  assert.deepEqual(sent, ["Bearer token", "application/json", "key", "ours", null]);
  assert.equal(new Hop(new Secret(SECRET_KEY)).addressOf(asked!, "the node"), "127.0.0.1");
});

Deno.test("Methods that nobody knows are counted together", async () => {
  await using store = play(() => new Response(null, { status: 405 }));
  await using app = await nodeBefore(store.url);
  for (const method of ["PURGE", "BREW", "WHEN"]) {
    const answer = await fetch(`${app.url}/api/v1/kv/read`, { method });
    assert.equal(answer.status, 405);
    await answer.body?.cancel();
  }
  const metrics = parseMetrics(await (await fetch(`${app.url}/metrics`)).text());
  const counted = (method: string) =>
    valueOf(metrics, "rookery_http_request_duration_seconds_count", { method, route: "/api/v1/kv/*", status: "4xx" });
  assert.deepEqual(["OTHER", "PURGE", "BREW", "WHEN"].map(counted), [3, undefined, undefined, undefined]);
});

Deno.test("Long bodies and answers are streamed", async () => {
  const piece = new Uint8Array(64 * 1024).fill(120);
  const half = Promise.withResolvers<void>();
  await using store = play(async (request) => {
    let size = 0;
    for await (const chunk of request.body!) {
      size += chunk.length;
      // The first part arrives before the rest is sent.
      if (size >= piece.length) half.resolve();
    }
    return new Response(new Blob(Array.from({ length: 40 }, () => piece)).stream(), {
      headers: { "x-size": String(size) },
    });
  });
  await using app = await nodeBefore(store.url);
  const body = ReadableStream.from((async function* () {
    for (let i = 0; i < 10; i++) yield piece;
    await half.promise;
    for (let i = 0; i < 10; i++) yield piece;
  })());
  const answer = await post(app, "/kv/write", body);
  assert.equal(answer.headers.get("x-size"), String(20 * piece.length));
  assert.equal((await answer.bytes()).length, 40 * piece.length);
});

Deno.test("Only calls of the store are forwarded, however the path is written", async () => {
  await using store = play(() => new Response("reached"));
  await using app = await nodeBefore(store.url);
  const { hostname, port } = new URL(app.url);
  for (const path of ["/api/v1/kv/../../../metrics", "/api/v1/kv/%2e%2e/users", "/api/v1/kv/.."]) {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
    const text = await new Response(connection.readable).text();
    assert.match(text, /^HTTP\/1\.1 404 [\s\S]*\/problems\/not-found/, path);
  }
  assert.equal(store.asked.length, 0);
  await post(app, "/kv/anything", "{}").then((answer) => answer.body?.cancel());
  assert.equal(store.asked.length, 1);
});

Deno.test("While the store is unavailable its calls are 503, and nothing else is affected", async () => {
  await using app = await nodeBefore(`http://127.0.0.1:${await freePort()}`);
  const { token } = await app.person();
  for (const path of ["/kv/read", "/kv/write", "/kv/delete"]) {
    const answer = await app.call("POST", path, { token, body: { keys: ["a"], data: { a: 1 } } });
    assert.deepEqual([answer.status, answer.slug], [503, "kv-unavailable"]);
    assert.ok(Number(answer.headers.get("retry-after")) >= 1);
  }
  await app.refused("kv-unavailable", "GET", "/kv/keys", { token });
  await app.ok("GET", "/users/me", { token });
});

Deno.test("If the store fails during a call, a write has an unknown outcome and a read can be retried", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = (async () => {
    for await (const connection of listener) {
      // The store reads the request and does not answer.
      await connection.read(new Uint8Array(1_000)).catch(() => {});
      connection.close();
    }
  })();
  await using app = await nodeBefore(`http://127.0.0.1:${listener.addr.port}`);
  const { token } = await app.person();
  const call = (method: string, path: string) =>
    app.call(method, path, { token, ...(method === "POST" && { body: { keys: ["a"] } }) });
  const slugs = [];
  for (
    const [method, path] of [["POST", "/kv/write"], ["POST", "/kv/delete"], ["POST", "/kv/read"], ["GET", "/kv/keys"]]
  ) {
    slugs.push((await call(method!, path!)).slug);
  }
  assert.deepEqual(slugs, ["outcome-unknown", "outcome-unknown", "kv-unavailable", "kv-unavailable"]);
  listener.close();
  await accepting;
});

Deno.test("A hanging store delays only its own calls, whose number is limited", async () => {
  const open = Promise.withResolvers<Response>();
  await using store = play(async () => (await open.promise).clone());
  await using app = await nodeBefore(store.url);
  const { token } = await app.person();
  const waiting = Array.from({ length: 1_000 }, () => post(app, "/kv/read", "{}"));
  while (store.asked.length < 1_000) await sleep(20);
  await app.refused("overloaded", "POST", "/kv/read", { token, body: { keys: ["a"] } });
  await app.ok("GET", "/feed", { token });
  open.resolve(new Response("{}"));
  for (const answer of await Promise.all(waiting)) assert.deepEqual([answer.status, await answer.text()], [200, "{}"]);
});

Deno.test("Without a store its calls report that, and the document still has them", async () => {
  await using app = await startApp({ ROLES });
  const { token } = await app.person();
  const { detail } = await app.refused("kv-unavailable", "POST", "/kv/read", { token, body: { keys: ["a"] } });
  assert.equal(detail, "The key–value store is not configured");
  assert.ok(app.contract.document.paths["/api/v1/kv/read"]);
});

Deno.test("A forwarded address is trusted only from a sender with the secret", () => {
  const hop = new Hop(new Secret(SECRET_KEY));
  const addressOf = (headers: Record<string, string>) =>
    hop.addressOf(new Request("http://kv/", { headers }), "192.0.2.1");
  const headers = hop.headers("2001:db8::1");
  assert.equal(addressOf(headers), "2001:db8::1");
  assert.equal(addressOf({}), "192.0.2.1");
  assert.equal(addressOf({ ...headers, "x-rookery-token": "wrong" }), "192.0.2.1");
  assert.equal(addressOf({ "x-rookery-address": "2001:db8::1" }), "192.0.2.1");
  assert.equal(
    addressOf(new Hop(new Secret("another secret, just as long as that")).headers("2001:db8::1")),
    "192.0.2.1",
  );
});
