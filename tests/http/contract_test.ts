import assert from "node:assert/strict";
import type { Answer } from "../support/api.ts";
import type { Person } from "../support/person.ts";
import { sharedVkApp } from "../support/vk.ts";

const { app } = sharedVkApp();
const NOBODY = "01890000-0000-7000-8000-000000000000";
const SENTENCE = { name: "A page", text: "A post", reason: "spam", login: "ada", first_name: "Ada", code: "CODE0000" };

interface Call {
  method: string;
  /** A path with existing ids. */
  path: string;
  template: string;
  hasBody: boolean;
  /** Bytes of a JSON body. */
  bound: number;
  query: string[];
}

/** All declared endpoints, with an administrator, a page and a post. */
async function calls(): Promise<{ admin: Person; calls: Call[] }> {
  const admin = await app.person({ role: "admin" });
  const { id: post } = await app.post(admin);
  await app.ok("PUT", "/vk/token", { token: admin.token, body: { token: "fake-user-101", kind: "user" } });
  const declared = Object.entries(app.contract.document.paths).flatMap(([full, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const { requestBody, parameters = [] } = operation as unknown as {
        requestBody?: { "x-max-bytes": number };
        parameters?: { name: string; in: string }[];
      };
      const template = full.replace("/api/v1", "");
      const own = template.startsWith("/vk")
        ? "me"
        : template.startsWith("/posts")
        ? post
        : template.startsWith("/users")
        ? admin.id
        : admin.page_id;
      return {
        method: method.toUpperCase(),
        template,
        path: template.replace("{id}", own).replace("{user_id}", NOBODY).replace("{tag}", "birds")
          .replace("{login}", admin.login),
        hasBody: requestBody !== undefined,
        bound: requestBody?.["x-max-bytes"] ?? 0,
        query: parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name),
      };
    })
  );
  return { admin, calls: declared };
}

async function stored(): Promise<unknown> {
  const counts = ["users", "handles", "pages", "posts", "follows", "likes", "jobs", "events", "kv"].map((table) =>
    `(select count(*) from ${table}) as ${table}`
  );
  return await app.ctx.sql.query(`select ${counts.join(", ")}, (select count(*) from receipts) as receipts`);
}

function isRefusal(what: string, { status, slug, body }: Answer, ...statuses: number[]): void {
  const fits = statuses.length > 0 ? statuses.includes(status) : status >= 400 && status < 500;
  assert.ok(fits && slug !== undefined, `${what} is ${status}: ${JSON.stringify(body)}`);
}

Deno.test("Every endpoint rejects an invalid body with a reason, and nothing is stored", async () => {
  const { admin: { token }, calls: all } = await calls();
  const before = await stored();
  const deep = `${"[".repeat(30_000)}"\\u0041"${"]".repeat(30_000)}`;
  const bodies: [string, number[]][] = [
    ["", [400]],
    ["{", [400]],
    ["{'login': 1}", [400]],
    [`{"text": "${"\0"}"}`, [400]],
    ["nonsense", [400]],
    ["null", [422]],
    ["7", [422]],
    ['"text"', [422]],
    ["[]", [422]],
    [deep, [400, 422]],
    [deep.replace("\\u0041", ""), [400, 422]],
    ['{"unknown_field": 1}', [422]],
    [JSON.stringify({ ...SENTENCE, unknown_field: 1 }), [422]],
    ['{"__proto__": {"login": "ada"}, "constructor": 1}', [422]],
    [JSON.stringify(Object.fromEntries(Object.keys(SENTENCE).map((key) => [key, { deep: [] }]))), [422]],
    ['{"text": "\\u0000"}', [422]],
    ['{"text": "\\ud800"}', [422]],
    ['{"\\udc00": 1}', [422]],
  ];
  for (const { method, path, bound } of all.filter(({ hasBody }) => hasBody)) {
    for (const [body, statuses] of bodies) {
      isRefusal(`${method} ${path} ${body.slice(0, 60)}`, await app.call(method, path, { token, body }), ...statuses);
    }
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "image/png"]) {
      const headers = { "content-type": type };
      isRefusal(`${method} ${path} ${type}`, await app.call(method, path, { token, body: "{}", headers }), 415);
    }
    const large = JSON.stringify({ text: "x".repeat(bound) });
    isRefusal(`${method} ${path} too large`, await app.call(method, path, { token, body: large }), 413);
  }
  assert.deepEqual(await stored(), before);
});

Deno.test("A body over the limit is rejected before it is read, with and without its length", async () => {
  const { hostname, port } = new URL(app.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  // The announced body is never sent.
  const head = "POST /api/v1/security/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
    "Content-Length: 10000000\r\n\r\n";
  await connection.write(new TextEncoder().encode(head));
  const buffer = new Uint8Array(64);
  const size = await connection.read(buffer);
  assert.match(new TextDecoder().decode(buffer.subarray(0, size ?? 0)), /^HTTP\/1\.1 413 /);

  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 16_384;
      if (sent > 50_000_000) controller.close();
      else controller.enqueue(new Uint8Array(16_384).fill(32));
    },
  });
  const response = await fetch(`${app.url}/api/v1/security/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: endless,
  });
  assert.equal(response.status, 413);
  await response.body?.cancel();
  assert.ok(sent < 50_000_000, "the whole body was read");
});

Deno.test("An invalid id is rejected by every endpoint", async () => {
  const { admin: { token }, calls: all } = await calls();
  const before = await stored();
  const wrong = [
    "x",
    "not-an-id",
    "0",
    "00000000-0000-0000-0000-000000000000",
    NOBODY,
    NOBODY.toUpperCase(),
    "%00",
    "a%00b",
    "%ED%A0%80",
    "%FF",
    "%",
    "%2e%2e%2f",
    "'%20or%201=1--",
    "%F0%9F%A6%89",
    "x".repeat(3_000),
  ];
  for (const { method, template, hasBody } of all.filter(({ template }) => template.includes("{"))) {
    for (const id of wrong) {
      // Another test checks a wrong tag on an existing page.
      const path = template.replaceAll(/\{\w+\}/g, id);
      const answer = await app.call(method, path, { token, ...(hasBody ? { body: SENTENCE } : {}) });
      // Removing a like has the same answer for existing and missing posts.
      const takesBack = method === "DELETE" && template === "/posts/{id}/like" && /^[0-9a-f-]{36}$/i.test(id);
      if (takesBack && answer.status === 200) assert.deepEqual(answer.body, { liked: false, like_count: null });
      else isRefusal(`${method} ${path.slice(0, 100)}`, answer, 404, 422);
    }
  }
  assert.deepEqual(await stored(), before);
});

Deno.test("An invalid cursor, limit or query is rejected by every list", async () => {
  const { admin: { token }, calls: all } = await calls();
  const cursor = (...parts: unknown[]) =>
    `cursor=${btoa(JSON.stringify(parts)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
  const now = "2026-01-31T12:00:00.000Z";
  const queries = [
    "cursor=",
    "cursor=x",
    "cursor=%00",
    "cursor=%F0%9F%A6%89",
    "cursor=bnVsbA",
    `cursor=${"x".repeat(513)}`,
    cursor(),
    cursor(now),
    cursor(now, 7),
    cursor(now, "' or 1=1"),
    cursor("2026-02-30T12:00:00.000Z", NOBODY),
    cursor("0000-01-01T00:00:00.000Z", NOBODY),
    cursor("infinity", NOBODY),
    cursor(now, NOBODY, "more"),
    "limit=0",
    "limit=101",
    "limit=-1",
    "limit=1.5",
    "limit=x",
    "limit=1e99",
    "limit=NaN",
    "unknown=1",
    "%00=1",
  ];
  const lists = all.filter(({ query }) => query.includes("cursor"));
  assert.ok(lists.length > 8);
  for (const { method, path } of lists) {
    const first = `${path}?${{ "/pages": "owner=me&", "/search": "type=pages&q=a&" }[path] ?? ""}`;
    assert.equal((await app.call(method, `${first}limit=100`, { token })).status, 200);
    for (const query of queries) {
      const answer = await app.call(method, first + query, { token });
      isRefusal(`${method} ${first}${query.slice(0, 80)}`, answer, 400, 422);
    }
  }
  for (const query of ["cursor=", "cursor=x", "cursor=%00", `cursor=${btoa("x:1")}`]) {
    const answer = await app.call("GET", `/feed/live?${query}`, { token, undeclared: true });
    assert.equal(answer.slug, "invalid-cursor", query);
  }
});

Deno.test("The end of a block must be a valid time in the future", async () => {
  const [admin, person] = await Promise.all([app.admin(), app.person()]);
  const times = [
    "2020-01-01T00:00:00Z",
    "9999-12-31T23:59:59-12:00",
    "2027-02-30T00:00:00Z",
    "2027-01-01",
    "tomorrow",
    "infinity",
    7,
  ];
  for (const path of [`/users/${person.id}/block`, `/pages/${person.page_id}/block`]) {
    for (const until of times) {
      const body = { reason: "spam", until };
      const { errors } = await app.refused("validation", "POST", path, { token: admin.token, body });
      assert.equal(errors[0].path, "until", String(until));
    }
  }
  await app.ok("GET", "/users/me", { token: person.token });
});

Deno.test("An unknown path is 404 and another method 405 with the allowed ones, both as problems", async () => {
  for (const path of ["/nothing", "/users/me/nothing", "/pages/x/y/z"]) {
    isRefusal(path, await app.call("GET", path, { undeclared: true }), 404);
  }
  const { slug, headers } = await app.call("PUT", "/security/login", { undeclared: true });
  assert.equal(slug, "method-not-allowed");
  assert.equal(headers.get("allow"), "POST, OPTIONS");
  // A method may have the name of a property of every object.
  for (const method of ["constructor", "__proto__", "toString"]) {
    isRefusal(method, await app.call(method, "/users/me", { undeclared: true }), 405);
  }
});

Deno.test("Every answer has its request id and forbids sniffing, problems too", async () => {
  const { token } = await app.person();
  const ids = new Set<string>();
  for (const path of ["/users/me", "/posts/x", "/feed?limit=x"]) {
    const { headers, body, slug } = await app.call("GET", path, { token });
    ids.add(headers.get("x-request-id")!);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    if (slug) assert.equal(body.request_id, headers.get("x-request-id"));
  }
  assert.equal(ids.size, 3);
});

Deno.test("An ETag saves unchanged answers only", async () => {
  const person = await app.person();
  const { token } = person;
  const post = await app.post(person);
  for (const path of [`/posts/${post.id}`, `/pages/${person.page_id}`, `/people/${person.login}`]) {
    const etag = (await app.call("GET", path, { token })).headers.get("etag")!;
    for (const value of [etag, "*", `"other", ${etag}`, etag.replace("W/", "")]) {
      const { status, body, headers } = await app.call("GET", path, { token, headers: { "if-none-match": value } });
      assert.deepEqual([status, body, headers.get("etag")], [304, undefined, etag], value);
    }
    const other = await app.call("GET", path, { token, headers: { "if-none-match": '"other"' } });
    assert.equal(other.status, 200);
  }
  const path = `/posts/${post.id}`;
  const { headers } = await app.call("GET", path, { token });
  await app.ok("PATCH", path, { token, body: { text: "Edited" } });
  const fresh = await app.call("GET", path, { token, headers: { "if-none-match": headers.get("etag")! } });
  assert.deepEqual([fresh.status, fresh.body.text], [200, "Edited"]);
});

Deno.test("A list's Link header leads to its next page, and is missing on the last", async () => {
  const person = await app.person();
  const posts = [];
  for (let i = 0; i < 3; i++) posts.unshift((await app.post(person)).id);
  for (const path of [`/pages/${person.page_id}/posts?limit=2`, "/feed?limit=2"]) {
    const { headers, body } = await app.call("GET", path, { token: person.token });
    const link = /^<([^>]+)>; rel="next"$/.exec(headers.get("link")!)![1]!;
    assert.equal(new URL(link, app.url).searchParams.get("cursor"), body.next_cursor);
    const next = await app.call("GET", link.replace(/^.*\/api\/v1/, ""), { token: person.token });
    assert.deepEqual([...body.items, ...next.body.items].map(({ id }) => id), posts);
    assert.deepEqual([next.body.next_cursor, next.headers.get("link")], [null, null]);
  }
});
