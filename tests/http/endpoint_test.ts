import assert from "node:assert/strict";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../context.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import type { Sql } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";
import type { Staging } from "../../services/images/staging.ts";
import { Log } from "../../lib/log.ts";
import { answer, answerText } from "../../routes/http/answer.ts";
import { type Api, endpoint } from "../../routes/http/endpoint.ts";
import { paging } from "../../routes/http/query.ts";
import { longRequests } from "../../routes/http/long_requests.ts";
import { Idempotency } from "../../routes/http/idempotency.ts";
import { Guesses } from "../../routes/http/guesses.ts";
import { RateLimiter } from "../../routes/http/rate_limit.ts";
import { Uploads } from "../../routes/http/uploads.ts";
import { WaitingBodies } from "../../contract/waiting_bodies.ts";
import { Secret } from "../../security/secret.ts";
import { openTestDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

const secret = new Secret("a secret for tests only, long enough");

/** The minimum that endpoints need. No test here signs in. */
function testApi(cache: MemoryCache, sql?: Sql): Api {
  const config = { RATE_LIMITS: false, REQUIRE_VERIFIED_EMAIL: true };
  const ctx = {
    config,
    log: new Log("error"),
    cache,
    secret,
    starting: false,
    draining: false,
  } as unknown as AppContext;
  const idempotency = new Idempotency(sql as Sql, secret);
  const stats = { underWay: 0, lastAt: -Infinity };
  const bodies = new WaitingBodies(stats);
  const uploads = new Uploads(undefined as unknown as Staging);
  const limiter = new RateLimiter(cache, false);
  const longBodies = longRequests({ concurrency: 2, perKey: 1, maxWaiting: 1, waitMs: 100 });
  return {
    app: new Hono(),
    ctx,
    limiter,
    guesses: new Guesses(limiter),
    idempotency,
    bodies,
    longBodies,
    uploads,
    endpoints: [],
    stats,
  };
}

const about = {
  access: "anyone" as const,
  summary: "A test",
  tags: [] as string[],
  answers: { 200: { description: "Done" } },
};

async function ask(api: Api, path: string, init: RequestInit = {}) {
  const response = await api.app.fetch(new Request(`http://host/api/v1${path}`, init), { address: "192.0.2.1" });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

function posted(body: string, headers: Record<string, string> = {}): RequestInit {
  return { method: "POST", body, headers: { "content-type": "application/json", ...headers } };
}

async function withNote(test: (api: Api) => Promise<void>): Promise<void> {
  await using cache = new MemoryCache();
  const api = testApi(cache);
  const body = z.strictObject({ text: z.string().max(10), size: z.int().optional() });
  endpoint(api, { ...about, method: "post", path: "/notes", body }, ({ body }) => answer(200, body));
  await test(api);
}

/** An endpoint that hides content, and the steps in order. `end` is the wait. */
async function withHiding(
  test: (
    hiding: { call: (query: string, key?: string) => ReturnType<typeof ask>; happened: string[] },
  ) => Promise<void>,
  end: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await using sql = await openTestDatabase();
  await using cache = new MemoryCache();
  const happened: string[] = [];
  const wait = () => end().finally(() => happened.push("waited"));
  const api = { ...testApi(cache, sql), deliveryBarrier: { wait } };
  const query = z.strictObject({ dry_run: z.string().optional(), refused: z.string().optional() });
  const definition = { ...about, method: "post", path: "/hide", hides: true, creates: true, query } as const;
  endpoint(api, { ...definition, body: z.strictObject({}) }, ({ query }) => {
    happened.push("hidden");
    if (query.refused) throw new AppError("page-blocked");
    return answer(200, { hidden: true });
  });
  const call = async (query: string, key?: string) => {
    const answered = await ask(
      api,
      `/hide?${query}`,
      posted("{}", key === undefined ? {} : { "idempotency-key": key }),
    );
    happened.push(String(answered.status));
    return answered;
  };
  await test({ call, happened });
}

Deno.test("An endpoint that hides content answers after the delivery barrier", () =>
  withHiding(async ({ call, happened }) => {
    await call("dry_run=false");
    assert.deepEqual(happened, ["hidden", "waited", "200"]);
  }));

Deno.test("Dry runs and refusals do not wait for the delivery barrier", () =>
  withHiding(async ({ call, happened }) => {
    await call("dry_run=true");
    await call("refused=yes");
    assert.deepEqual(happened, ["hidden", "200", "hidden", "403"]);
  }));

Deno.test("A replay of a hiding request comes after the wait and does not wait again", () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  return withHiding(async ({ call, happened }) => {
    const first = call("", "key");
    await until("the first node has hidden it", () => happened.includes("hidden"));
    assert.equal((await call("", "key")).body.type, "/problems/idempotency-key-running");
    resolve();
    await first;
    assert.equal((await call("", "key")).headers.get("idempotency-replayed"), "true");
    assert.deepEqual(happened, ["hidden", "409", "waited", "200", "200"]);
  }, () => promise);
});

Deno.test("If the wait fails, the request fails, and its Idempotency-Key can be used again", () =>
  withHiding(async ({ call, happened }) => {
    await call("", "key");
    await call("", "key");
    assert.deepEqual(happened, ["hidden", "waited", "503", "hidden", "waited", "503"]);
  }, () => Promise.reject(new AppError("database-unavailable"))));

Deno.test("An endpoint that hides content cannot be declared without a delivery barrier", async () => {
  await using cache = new MemoryCache();
  const definition = { ...about, method: "post", path: "/hide", hides: true } as const;
  assert.throws(() => endpoint(testApi(cache), definition, () => answer(204)), /no delivery barrier/);
});

Deno.test("An endpoint names every invalid field of a body", () =>
  withNote(async (api) => {
    const { status, body } = await ask(api, "/notes", posted('{"size":"big","colour":1,"shape":2}'));
    assert.equal(status, 422);
    assert.equal(body.type, "/problems/validation");
    assert.deepEqual(body.errors.map(({ path }: { path: string }) => path).sort(), ["colour", "shape", "size", "text"]);
  }));

Deno.test("An endpoint rejects a body by its type, its length and its syntax", () =>
  withNote(async (api) => {
    assert.equal((await ask(api, "/notes", posted("{}", { "content-type": "text/plain" }))).status, 415);
    assert.equal((await ask(api, "/notes", posted("{}", { "content-length": "99999999" }))).status, 413);
    const endless = new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(16_384)) });
    assert.equal((await ask(api, "/notes", { ...posted(""), body: endless })).status, 413);
    assert.equal((await ask(api, "/notes", posted("{"))).body.type, "/problems/invalid-json");
  }));

Deno.test("An endpoint rejects text that Postgres cannot store", () =>
  withNote(async (api) => {
    for (const text of ["a\\u0000", "a\\ud800"]) {
      assert.equal((await ask(api, "/notes", posted(`{"text":"${text}"}`))).status, 422, text);
    }
  }));

Deno.test("An endpoint answers a body nested deeper than the stack with a 4xx", async () => {
  await using cache = new MemoryCache();
  const api = testApi(cache);
  const body = z.strictObject({ value: z.json() });
  endpoint(api, { ...about, method: "post", path: "/values", body }, () => answer(200, {}));
  for (const text of ["", "\\u0041"]) {
    const deep = `{"x":"${text}","value":${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
    assert.equal((await ask(api, "/values", posted(deep))).status, 422, `with text "${text}"`);
  }
});

Deno.test("An endpoint answers a body that ends early with a 4xx", () =>
  withNote(async (api) => {
    const broken = new ReadableStream({ start: (stream) => stream.error(new TypeError("the connection broke")) });
    assert.equal((await ask(api, "/notes", { ...posted(""), body: broken })).status, 400);
  }));

Deno.test("A list accepts limits of 1 to 100 and links to the next page", async () => {
  await using cache = new MemoryCache();
  const api = testApi(cache);
  endpoint(
    api,
    { ...about, method: "get", path: "/notes", query: z.strictObject({ ...paging, q: z.string().optional() }) },
    ({ query }) => answerText(200, JSON.stringify(query), "next one"),
  );
  const { body, headers } = await ask(api, "/notes?q=a%26b?&cursor=old");
  assert.equal(body.limit, 20);
  assert.equal(headers.get("link"), '</api/v1/notes?q=a%26b%3F&cursor=next+one>; rel="next"');
  for (const limit of ["0", "101"]) assert.equal((await ask(api, `/notes?limit=${limit}`)).status, 422);
  for (const limit of ["1.5", "x", "", "0x10", "1e1", "%205", "%2B5", "-1", "٥"]) {
    const { status, body } = await ask(api, `/notes?limit=${limit}`);
    assert.deepEqual([status, body.type, body.errors[0].path], [400, "/problems/invalid-query", "limit"], limit);
  }
  assert.equal((await ask(api, "/notes?unknown=1")).status, 422);
});

Deno.test("An endpoint for signed-in callers checks the token first", async () => {
  await using cache = new MemoryCache();
  const api = testApi(cache);
  const definition = {
    ...about,
    access: "signed-in",
    method: "post",
    path: "/notes",
    body: z.strictObject({}),
  } as const;
  endpoint(api, definition, () => answer(204));
  const { status, headers, body: problem } = await ask(api, "/notes", posted("{", { "content-length": "99999999" }));
  assert.equal(status, 401);
  assert.equal(problem.type, "/problems/token-missing");
  assert.equal(headers.get("www-authenticate"), 'Bearer realm="rookery"');
});

Deno.test("A request repeated after an unknown outcome runs under the receipt of the first", async () => {
  await using sql = await openTestDatabase();
  await using cache = new MemoryCache();
  const api = testApi(cache, sql);
  const receipts: { id: string; result?: unknown }[] = [];
  endpoint(
    api,
    { ...about, method: "post", path: "/notes", body: z.strictObject({}), creates: true },
    ({ receipt }) => {
      receipts.push(receipt!);
      if (receipts.length === 1) throw new AppError("outcome-unknown");
      return answer(201, { id: 1 }, { Location: "/notes/1" });
    },
  );
  const again = () => ask(api, "/notes", posted("{}", { "idempotency-key": "key-1" }));
  assert.equal((await again()).status, 504);
  // The commit of the first request arrives late.
  await sql.execute("update receipts set result = '{\"note\":1}' where id = $1", [receipts[0]!.id]);
  assert.equal((await again()).status, 201);
  assert.deepEqual(receipts[1], { id: receipts[0]!.id, result: { note: 1 } });
  const replayed = await again();
  assert.deepEqual([replayed.status, replayed.headers.get("location"), replayed.headers.get("idempotency-replayed")], [
    201,
    "/notes/1",
    "true",
  ]);
  assert.equal(receipts.length, 2);
});

Deno.test("A JSON answer is chunked, except for HTTP/1.0 and without a body", async () => {
  await using cache = new MemoryCache();
  const api = testApi(cache);
  endpoint(api, { ...about, method: "get", path: "/long", etag: true }, () => answer(200, { text: "x".repeat(2_000) }));
  endpoint(api, { ...about, method: "delete", path: "/long" }, () => answer(204));
  const served = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => api.app.fetch(request),
  );
  const ask = async (request: string) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: served.addr.port });
    await connection.write(new TextEncoder().encode(`${request}\r\nhost: x\r\nconnection: close\r\n\r\n`));
    const [head = "", body = ""] = (await new Response(connection.readable).text()).split("\r\n\r\n", 2);
    return { head, body };
  };
  const chunked = await ask("GET /api/v1/long HTTP/1.1");
  assert.match(chunked.head, /transfer-encoding: chunked/);
  assert.doesNotMatch(chunked.head, /content-length/);
  assert.match(chunked.body, /^7db\r\n\{"text":"x{2000}"\}\r\n0$/);
  const old = await ask("GET /api/v1/long HTTP/1.0");
  assert.match(old.head, /content-length: 2011/);
  assert.doesNotMatch(old.head, /transfer-encoding/);
  const etag = /etag: (.*)/.exec((await ask("GET /api/v1/long HTTP/1.1")).head)![1]!.trim();
  const conditional = `GET /api/v1/long HTTP/1.1\r\nif-none-match: ${etag}`;
  for (const bodyless of [conditional, "DELETE /api/v1/long HTTP/1.1", "HEAD /api/v1/long HTTP/1.1"]) {
    const { head, body } = await ask(bodyless);
    assert.match(head, /^HTTP\/1.1 (304|204|200)/);
    assert.doesNotMatch(head, /transfer-encoding/);
    assert.equal(body, "");
  }
  await served.shutdown();
});
