import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import type { Answer } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";

const app = sharedApp();

function write({ token }: Person, body: Record<string, unknown>): Promise<Answer> {
  return app.call("POST", "/kv/write", { token, body });
}

async function versions({ token }: Person, ...keys: string[]): Promise<Record<string, number>> {
  return (await app.ok("POST", "/kv/read", { token, body: { keys, versions: true } })).versions;
}

async function data({ token }: Person, ...keys: string[]): Promise<Record<string, unknown>> {
  return (await app.ok("POST", "/kv/read", { token, body: { keys } })).data;
}

/** A person who has written these pairs. */
async function written(data: Record<string, unknown>): Promise<Person> {
  const person = await app.person();
  assert.equal((await write(person, { data })).status, 201);
  return person;
}

Deno.test("Versions are returned on request, and change with every write", async () => {
  const person = await written({ a: 1, b: 2 });
  const { token } = person;
  assert.deepEqual(await app.ok("POST", "/kv/read", { token, body: { keys: ["a"] } }), { data: { a: 1 } });
  const before = await versions(person, "a", "b");
  assert.deepEqual(Object.keys(before).sort(), ["a", "b"]);
  await write(person, { data: { a: 1 }, mode: "overwrite" });
  await write(person, { data: { b: 3 } });
  const after = await versions(person, "a", "b");
  assert.ok(after.a! > before.a!, "the same value has a new version");
  assert.equal(after.b, before.b, "an ignored pair keeps its version");
});

Deno.test("With if_version all pairs are written if every key has its version", async () => {
  const person = await written({ a: 1, b: 2 });
  const seen = await versions(person, "a", "b");
  const swapped = await write(person, { data: { a: "new", b: null }, if_version: seen });
  assert.deepEqual([swapped.status, swapped.body], [201, { status: "success", ignored: [] }]);
  assert.deepEqual(await data(person, "a", "b"), { a: "new", b: null });
});

Deno.test("With if_version nothing is written if a key is missing or has another version, which is named", async () => {
  const person = await written({ a: 1, b: 2, c: 3, d: 4 });
  const seen = await versions(person, "a", "b", "c", "d");
  await write(person, { data: { b: "theirs" }, mode: "overwrite" });
  await app.ok("POST", "/kv/delete", { token: person.token, body: { keys: ["d"] } });
  const late = await write(person, { data: { a: "x", b: "x", c: "x", d: "x" }, if_version: seen });
  assert.deepEqual([late.status, late.slug], [409, "version-conflict"]);
  assert.deepEqual(late.body.errors.map(({ path }: { path: string }) => path).sort(), ["if_version.b", "if_version.d"]);
  assert.match(late.body.errors[0].message, /^The key "b" has another version/);
  assert.deepEqual(await data(person, "a", "b", "c"), { a: 1, b: "theirs", c: 3 });
});

Deno.test("A key that was deleted and written again does not have its old version", async () => {
  const person = await written({ a: 1 });
  const seen = await versions(person, "a");
  await app.ok("POST", "/kv/delete", { token: person.token, body: { keys: ["a"] } });
  await write(person, { data: { a: 1 } });
  assert.equal((await write(person, { data: { a: 2 }, if_version: seen })).slug, "version-conflict");
});

Deno.test("Of many concurrent compare-and-sets of one version one wins", async () => {
  const person = await written({ counter: 0 });
  for (let round = 0; round < 5; round++) {
    const seen = await versions(person, "counter");
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => write(person, { data: { counter: i }, if_version: seen })),
    );
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    assert.ok(answers.every(({ status, slug }) => status === 201 || slug === "version-conflict"));
    assert.equal((await data(person, "counter")).counter, answers.findIndex(({ status }) => status === 201));
  }
});

Deno.test("if_version names exactly the keys of data, with versions, and excludes mode", async () => {
  const person = await written({ a: 1, b: 2 });
  const { a } = await versions(person, "a");
  const refusals: [Record<string, unknown>, string[]][] = [
    [{ data: { a: 1, b: 2 }, if_version: { a } }, ["if_version.b"]],
    [{ data: { a: 1 }, if_version: { a, c: 1 } }, ["data.c"]],
    [{ data: { a: 1 }, if_version: {} }, ["if_version.a"]],
    [{ data: { a: 1 }, if_version: { a }, mode: "overwrite" }, ["mode"]],
    [{ data: { a: 1 }, if_version: a }, ["if_version"]],
    [{ data: { a: 1 }, if_version: [a] }, ["if_version"]],
    ...["1", 0, -1, 1.5, null, 1e21].map((wrong): [Record<string, unknown>, string[]] => [
      { data: { a: 1 }, if_version: { a: wrong } },
      ["if_version.a"],
    ]),
  ];
  for (const [body, expected] of refusals) {
    const { slug, body: problem } = await write(person, body);
    assert.equal(slug, "validation", JSON.stringify(body));
    assert.deepEqual(problem.errors.map(({ path }: { path: string }) => path), expected);
  }
  const text = '{"data":{"__proto__":1},"if_version":{"__proto__":1}}';
  assert.equal((await app.call("POST", "/kv/write", { token: person.token, body: text })).slug, "version-conflict");
  assert.deepEqual(await data(person, "a", "b"), { a: 1, b: 2 });
});

/** Moves the expiry of one person's pairs, and changes the revision, so that caches read again. */
async function wait({ id }: Person, seconds: number): Promise<void> {
  await app.ctx.sql.execute(
    `with changed as (update kv_spaces set revision = revision + 1 where id = $1)
    update kv set expires_at = expires_at - $2 * interval '1 second' where space = $1`,
    [id, seconds],
  );
}

Deno.test("A pair with ttl_s is gone for every call when it expires, before it is deleted", async () => {
  const person = await app.person();
  const { token } = person;
  await write(person, { data: { a: 1, b: 2, c: 3, d: 4 }, ttl_s: 60 });
  await write(person, { data: { stays: 1 } });
  const seen = await versions(person, "d");
  const [first] = (await app.ok("GET", "/kv/keys?prefix=a", { token })).items;
  assert.ok(Math.abs(Date.parse(first.expires_at) - Date.now() - 60_000) < 20_000, first.expires_at);
  await wait(person, 59);
  assert.deepEqual(await data(person, "a"), { a: 1 });
  await wait(person, 2);
  await app.refused("keys-not-found", "POST", "/kv/read", { token, body: { keys: ["a"] } });
  const { items } = await app.ok("GET", "/kv/keys", { token });
  assert.deepEqual(items.map(({ key, expires_at }: { key: string; expires_at: null }) => [key, expires_at]), [[
    "stays",
    null,
  ]]);
  assert.deepEqual((await app.ok("POST", "/kv/delete", { token, body: { keys: ["b"] } })).ignored, ["b"]);
  assert.equal((await write(person, { data: { d: 5 }, if_version: seen })).slug, "version-conflict");
  assert.deepEqual((await write(person, { data: { c: "new", stays: 2 } })).body.ignored, ["stays"]);
  assert.deepEqual(await data(person, "c"), { c: "new" });
  await wait(person, 1_000);
  assert.deepEqual(await data(person, "c"), { c: "new" }, "a pair without ttl_s stays");
});

Deno.test("A write sets the expiry again: another one, or none", async () => {
  const person = await app.person();
  await write(person, { data: { a: 1, b: 1, c: 1 }, ttl_s: 10 });
  await write(person, { data: { a: 2 }, mode: "overwrite", ttl_s: 100 });
  await write(person, { data: { b: 2 }, mode: "overwrite" });
  await write(person, { data: { c: 2 }, if_version: await versions(person, "c"), ttl_s: 100 });
  await wait(person, 50);
  assert.deepEqual(await data(person, "a", "b", "c"), { a: 2, b: 2, c: 2 });
  for (const ttl_s of [0, -1, 1.5, "60", 1e12, null]) {
    assert.equal((await write(person, { data: { a: 1 }, ttl_s })).slug, "validation", String(ttl_s));
  }
});

Deno.test("ttl_s is in seconds", async () => {
  const person = await app.person();
  await write(person, { data: { short: 1 }, ttl_s: 2 });
  // Read several times, since pairs that are read often are cached.
  const ends = Date.now() + 2_100;
  while (Date.now() < ends - 1_500) assert.deepEqual(await data(person, "short"), { short: 1 });
  await sleep(ends - Date.now());
  await app.refused("keys-not-found", "POST", "/kv/read", { token: person.token, body: { keys: ["short"] } });
});
