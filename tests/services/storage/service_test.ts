import assert from "node:assert/strict";
import { Log } from "../../../lib/log.ts";
import { startStorageServer } from "../../../workers/roles/storage.ts";
import { MAX_OBJECT_BYTES } from "../../../services/storage/storage.ts";

import { countFiles } from "../../support/storage_folder.ts";
import { until } from "../../support/wait.ts";

const TOKEN = "a token for tests";
/** A time limit per test, so that a hanging test fails under its name. */
const MAX_MS = 30_000;

interface Served {
  folder: string;
  port: number;
  call(method: string, path: string, init?: RequestInit): Promise<{ status: number; headers: Headers; text: string }>;
  /** Sends raw bytes, and returns the head of the answer. */
  raw(head: string, body?: string): Promise<string>;
}

function test(name: string, run: (served: Served) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
    const log = new Log("error");
    await using server = await startStorageServer({
      host: "127.0.0.1",
      port: 0,
      folder,
      maxEntries: 10,
      token: TOKEN,
      log,
    });
    const { port } = server;
    await inTime(run({
      folder,
      port,
      call: async (method, path, init = {}) => {
        const headers = { authorization: `Bearer ${TOKEN}`, ...init.headers };
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...init, method, headers });
        return { status: response.status, headers: response.headers, text: await response.text() };
      },
      raw: async (head, body = "") => {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port });
        const lines = [head, "Host: storage", `Authorization: Bearer ${TOKEN}`, "Connection: close"];
        await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n${body}`));
        let text = "";
        const reader = connection.readable.pipeThrough(new TextDecoderStream()).getReader();
        for (let part; !text.includes("\r\n\r\n") && !(part = await reader.read()).done;) text += part.value;
        await reader.cancel();
        return text;
      },
    }));
    await Deno.remove(folder, { recursive: true });
  });
}

async function inTime(run: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`Not done after ${MAX_MS} ms`)), MAX_MS);
  try {
    await Promise.race([run, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

test("The storage service reveals only its health without the token", async ({ call, port }) => {
  await call("PUT", "/objects/a", { body: "mine" });
  for (
    const authorization of ["", "Bearer", "Bearer x", `bearer ${TOKEN}`, `Basic ${btoa(`x:${TOKEN}`)}`, `${TOKEN}`]
  ) {
    for (
      const [method, path] of [["GET", "/objects/a"], ["GET", "/objects"], ["DELETE", "/objects/a"], [
        "GET",
        "/nowhere",
      ]]
    ) {
      const answer = await call(method!, path!, { headers: { authorization } });
      assert.equal(answer.status, 401);
      assert.equal(answer.headers.get("content-type"), "application/problem+json");
      assert.equal(answer.headers.get("www-authenticate"), "Bearer");
    }
    assert.equal((await call("PUT", "/objects/a", { body: "theirs", headers: { authorization } })).status, 401);
  }
  assert.equal((await call("GET", "/objects/a")).text, "mine");
  const health = await fetch(`http://127.0.0.1:${port}/healthz`);
  assert.deepEqual([health.status, await health.json()], [200, { status: "ok" }]);
});

test("The storage service answers 201 for a new object and 200 for a replaced one", async ({ call }) => {
  const first = await call("PUT", "/objects/a.240", { body: "first" });
  assert.equal(first.status, 201);
  const object = JSON.parse(first.text);
  assert.deepEqual([object.key, object.size, `"${object.etag}"`], ["a.240", 5, first.headers.get("etag")]);
  assert.equal((await call("PUT", "/objects/a.240", { body: "second" })).status, 200);
  const got = await call("GET", "/objects/a.240");
  assert.deepEqual([got.status, got.text, got.headers.get("content-length")], [200, "second", "6"]);
  assert.notEqual(got.headers.get("etag"), first.headers.get("etag"));
  const head = await call("HEAD", "/objects/a.240");
  assert.deepEqual([head.status, head.text, head.headers.get("content-length")], [200, "", "6"]);
  assert.equal((await call("DELETE", "/objects/a.240")).status, 204);
  assert.equal((await call("DELETE", "/objects/a.240")).status, 204);
  assert.equal((await call("GET", "/objects/a.240")).status, 404);
  assert.equal((await call("HEAD", "/objects/a.240")).status, 404);
});

test("The storage service answers ranges as HTTP requires", async ({ call }) => {
  const { headers } = await call("PUT", "/objects/a", { body: "0123456789" });
  const cases: [range: string, status: number, text?: string, contentRange?: string][] = [
    ["bytes=2-4", 206, "234", "bytes 2-4/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=7-99", 206, "789", "bytes 7-9/10"],
    ["bytes=-2", 206, "89", "bytes 8-9/10"],
    ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
    ["BYTES=0-0", 206, "0", "bytes 0-0/10"],
    ["bytes=10-", 416],
    ["bytes=-0", 416],
    ["bytes=5-2", 200],
    ["bytes=-", 200],
    ["bytes=0-1,4-5", 200],
    ["bytes=99999999999999999999-", 200],
    ["lines=0-1", 200],
    ["bytes=x", 200],
  ];
  for (const [range, status, text = "0123456789", contentRange = null] of cases) {
    const answer = await call("GET", "/objects/a", { headers: { range } });
    assert.equal(answer.status, status, range);
    if (status === 416) continue;
    assert.deepEqual([answer.text, answer.headers.get("content-range")], [text, contentRange], range);
    assert.equal(answer.headers.get("accept-ranges"), "bytes");
    assert.equal(answer.headers.get("etag"), headers.get("etag"));
  }
});

test("The storage service answers conditional requests", async ({ call }) => {
  const etag = (await call("PUT", "/objects/a", { body: "x" })).headers.get("etag")!;
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const answer = await call("GET", "/objects/a", { headers: { "if-none-match": known } });
    assert.deepEqual([answer.status, answer.text, answer.headers.get("etag")], [304, "", etag]);
  }
  assert.equal((await call("GET", "/objects/a", { headers: { "if-none-match": '"other"' } })).text, "x");
  assert.equal((await call("GET", "/objects/b", { headers: { "if-none-match": "*" } })).status, 404);
});

test("The storage service rejects invalid keys in any spelling", async ({ raw, folder }) => {
  const bad = [
    "",
    "..",
    "../x",
    "../../etc/passwd",
    "%2e%2e",
    "%2e%2e%2fx",
    "%00",
    "a%00",
    "a/b",
    "a%2fb",
    "a%",
    "%zz",
    "%c3",
  ];
  for (const key of [...bad, "é", "a".repeat(65), "a".repeat(10_000), "a.b.c", "a\\b", "//a", "a+b"]) {
    for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
      const body = method === "PUT" ? "\r\nContent-Length: 1" : "";
      const answer = await raw(`${method} /objects/${key} HTTP/1.1${body}`, method === "PUT" ? "x" : "");
      assert.match(answer, /^HTTP\/1.1 4\d\d /, `${method} ${key}`);
    }
  }
  for (const query of ["?limit=0", "?limit=-1", "?limit=1001", "?limit=x", "?limit=", "?after=..", "?after="]) {
    assert.match(await raw(`GET /objects${query} HTTP/1.1`), /^HTTP\/1.1 400 /, query);
  }
  assert.match(await raw("POST /objects/a HTTP/1.1\r\nContent-Length: 0"), /^HTTP\/1.1 405 /);
  assert.equal(countFiles(`${folder}/objects`) + countFiles(`${folder}/staging`), 0);
});

test("The storage service rejects a too large object by Content-Length and by bytes", async ({ raw, call, folder }) => {
  assert.match(await raw(`PUT /objects/a HTTP/1.1\r\nContent-Length: ${MAX_OBJECT_BYTES + 1}`), /^HTTP\/1.1 413 /);
  assert.match(await raw("PUT /objects/a HTTP/1.1\r\nContent-Length: 99999999999999999999999"), /^HTTP\/1.1 4\d\d /);
  let left = MAX_OBJECT_BYTES + 1;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(new Uint8Array(Math.min(left, 1_000_000)));
      if ((left -= 1_000_000) <= 0) controller.close();
    },
  });
  // The answer may arrive while the body is sent, so that the connection breaks before it is read.
  const status = await call("PUT", "/objects/a", { body }).then(({ status }) => status, () => "broken");
  assert.ok(status === 413 || status === "broken", `${status}`);
  assert.equal((await call("GET", "/objects/a")).status, 404);
  assert.equal(countFiles(`${folder}/objects`) + countFiles(`${folder}/staging`), 0);
});

test("The storage service deletes the upload of a sender that disconnects", async ({ folder, port, call }) => {
  for (const framing of ["Content-Length: 100000", "Transfer-Encoding: chunked"]) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const head = ["PUT /objects/a HTTP/1.1", "Host: storage", `Authorization: Bearer ${TOKEN}`, framing].join("\r\n");
    const body = framing.startsWith("Transfer") ? "5\r\nhello\r\n" : "hello";
    await connection.write(new TextEncoder().encode(`${head}\r\n\r\n${body}`));
    await until("the upload has begun", () => countFiles(`${folder}/staging`) === 1);
    connection.close();
    await until("the upload is deleted", () => countFiles(`${folder}/staging`) === 0);
    assert.equal((await call("GET", "/objects/a")).status, 404);
  }
});

test("The storage service lists objects in pages", async ({ call }) => {
  for (let i = 0; i < 5; i++) await call("PUT", `/objects/key-${i}`, { body: "x" });
  const first = JSON.parse((await call("GET", "/objects?limit=3")).text);
  const last = first.items.at(-1).key;
  const second = JSON.parse((await call("GET", `/objects?limit=3&after=${last}`)).text);
  assert.deepEqual([first.items.length, second.items.length], [3, 2]);
  assert.equal(new Set([...first.items, ...second.items].map(({ key }) => key)).size, 5);
});
