import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";

const app = sharedApp();

/** A call with a raw body, and its raw answer. */
async function raw(
  { token }: Person,
  path: string,
  body: string | Uint8Array,
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${app.url}/api/v1${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: body as BodyInit,
  });
  return { status: response.status, text: await response.text() };
}

function write({ token }: Person, data: Record<string, unknown>, more: Record<string, unknown> = {}) {
  return app.ok("POST", "/kv/write", { token, body: { data, ...more } });
}

function read({ token }: Person, keys: string[], more: Record<string, unknown> = {}) {
  return app.ok("POST", "/kv/read", { token, body: { keys, ...more } });
}

function paths({ errors }: { errors: { path: string }[] }): string[] {
  return errors.map(({ path }) => path);
}

Deno.test("Pairs are written in one call and read in one call", async () => {
  const person = await app.person();
  const data = { a: 1, b: null, c: { deep: [true, { e: "" }] }, "": [], "🦉": "emoji", "two words": false };
  const written = await app.call("POST", "/kv/write", { token: person.token, body: { data } });
  assert.deepEqual([written.status, written.body], [201, { status: "success", ignored: [] }]);
  assert.deepEqual((await read(person, Object.keys(data))).data, data);
  assert.deepEqual((await read(person, ["b"])).data, { b: null });
});

Deno.test("A value is returned as written, character by character", async () => {
  const person = await app.person();
  const values = [
    "1e400",
    "12345678901234567890",
    "-0",
    "1.0",
    "1E-7",
    "0.1000000000000000055511151231257827",
    '"\\u0000"',
    '"\\ud800 alone"',
    '"\\ud83e\\udd89"',
    '"🦉 \\/ \\u00e9 \u2028"',
    '{ "a" : [ 1,\n\t2 ] }',
    '{"a":1,"a":2}',
    '{"__proto__":{"polluted":1},"constructor":null}',
    '[[[[]]],{}, ""]',
    "null",
  ];
  for (const value of values) {
    const written = await raw(person, "/kv/write", `{"data":{"k":${value}},"mode":"overwrite"}`);
    assert.equal(written.status, 201, written.text);
    assert.equal((await raw(person, "/kv/read", '{"keys":["k"]}')).text, `{"data":{"k":${value}}}`);
  }
});

Deno.test("Keys that mean something to JavaScript are ordinary keys", async () => {
  const person = await app.person();
  const keys = [
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "length",
    "0",
    "-1",
    "a.b",
    "$1",
    "'",
    "%",
  ];
  const body = `{"data":{${keys.map((key, i) => `${JSON.stringify(key)}:${i}`).join(",")}}}`;
  assert.deepEqual((await raw(person, "/kv/write", body)).status, 201);
  for (const [i, key] of keys.entries()) {
    const { text } = await raw(person, "/kv/read", JSON.stringify({ keys: [key] }));
    assert.equal(text, `{"data":{${JSON.stringify(key)}:${i}}}`);
  }
  const again = await raw(person, "/kv/write", body);
  assert.deepEqual(JSON.parse(again.text).ignored, keys);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

Deno.test("A key has its characters in any escaped form; control characters and backslashes are allowed", async () => {
  const person = await app.person();
  assert.equal((await raw(person, "/kv/write", '{"data":{"\\u0061":1,"x":0,"\\\\":"backslash"}}')).status, 201);
  assert.equal((await raw(person, "/kv/write", '{"data":{"n":0,"\\n":"line","\\u001e":"separator"}}')).status, 201);
  assert.equal((await raw(person, "/kv/write", '{"data":{"\\u001d":"another","\\u001d\\u001e":"both"}}')).status, 201);
  assert.deepEqual((await raw(person, "/kv/read", '{"keys":["a"]}')).text, '{"data":{"a":1}}');
  for (
    const [key, value] of [["\\n", "line"], ["\\u001e", "separator"], ["\\u001d", "another"], [
      "\\u001d\\u001e",
      "both",
    ], ["\\\\", "backslash"]]
  ) {
    assert.equal((await raw(person, "/kv/read", `{"keys":["${key}"]}`)).text, `{"data":{"${key}":"${value}"}}`);
  }
});

Deno.test("The empty key is a key, alone and among others", async () => {
  const person = await app.person();
  assert.deepEqual(await write(person, { "": 1 }), { status: "success", ignored: [] });
  assert.deepEqual((await write(person, { "": 2 })).ignored, [""]);
  assert.deepEqual((await write(person, { a: 1, "": 2 })).ignored, [""]);
  assert.deepEqual((await write(person, { "": 3 }, { mode: "overwrite" })).ignored, []);
  const { data, versions } = await read(person, [""], { versions: true });
  assert.deepEqual(data, { "": 3 });
  await write(person, { "": 4 }, { if_version: versions });
  assert.deepEqual((await read(person, ["", "a"])).data, { "": 4, a: 1 });
  // These batches share a statement.
  const others = await Promise.all(Array.from({ length: 8 }, () => app.person()));
  await Promise.all(others.map((other, i) => write(other, i % 2 ? { "": i } : { "": i, b: i })));
  for (const [i, other] of others.entries()) assert.deepEqual((await read(other, [""])).data, { "": i });
});

Deno.test("Existing keys stay unchanged and are listed; the others are written", async () => {
  const person = await app.person();
  await write(person, { a: 1, b: 2 });
  const { status, ignored } = await write(person, { c: 3, b: "new", d: 4, a: "new" });
  assert.deepEqual([status, ignored], ["success", ["b", "a"]]);
  assert.deepEqual((await read(person, ["a", "b", "c", "d"])).data, { a: 1, b: 2, c: 3, d: 4 });
  assert.deepEqual((await write(person, { a: 5 }, { mode: "skip" })).ignored, ["a"]);
});

Deno.test("With mode overwrite existing keys are overwritten, and none is ignored", async () => {
  const person = await app.person();
  await write(person, { a: 1, b: 2 });
  assert.deepEqual((await write(person, { b: { now: true }, c: 3 }, { mode: "overwrite" })).ignored, []);
  assert.deepEqual((await read(person, ["a", "b", "c"])).data, { a: 1, b: { now: true }, c: 3 });
});

Deno.test("Reading reports errors: no keys, repeated keys, missing keys", async () => {
  const person = await app.person();
  const { token } = person;
  await write(person, { a: 1, b: 2 });
  for (const body of [{ keys: [] }, {}, { keys: null }, { keys: "a" }, { keys: [1] }, { keys: { a: 1 } }]) {
    const problem = await app.refused("validation", "POST", "/kv/read", { token, body });
    assert.match(paths(problem)[0]!, /^keys(\.0)?$/);
  }
  const repeated = await app.refused("repeated-keys", "POST", "/kv/read", {
    token,
    body: { keys: ["a", "b", "a", "none", "none", "a"] },
  });
  assert.equal(repeated.status, 400);
  assert.deepEqual(repeated.errors, [
    { path: "keys.2", rule: "repeated", message: 'The key "a" occurs more than once' },
    { path: "keys.4", rule: "repeated", message: 'The key "none" occurs more than once' },
  ]);
  const missing = await app.refused("keys-not-found", "POST", "/kv/read", {
    token,
    body: { keys: ["a", "x", "b", "ÿ"] },
  });
  assert.equal(missing.status, 404);
  assert.deepEqual(missing.errors, [
    { path: "keys.1", rule: "exists", message: 'No such key: "x"' },
    { path: "keys.3", rule: "exists", message: 'No such key: "ÿ"' },
  ]);
});

Deno.test("Writing needs at least one pair, in an object", async () => {
  const { token } = await app.person();
  for (const data of [{}, [], [["a", 1]], null, "a", 7, undefined]) {
    const problem = await app.refused("validation", "POST", "/kv/write", { token, body: { data } });
    assert.deepEqual(paths(problem), ["data"]);
  }
  for (const body of ["[]", "null", '"data"', "7"]) {
    await app.refused("validation", "POST", "/kv/write", { token, body });
  }
});

Deno.test("Repeated keys are rejected by name, and nothing is written", async () => {
  const { token } = await app.person();
  const cases: [string, string[]][] = [
    ['{"data":{"a":1,"b":2,"a":1}}', ["data.a"]],
    ['{"data":{"a":1,"\\u0061":2,"b":1,"c":1,"b":null,"b":3}}', ["data.a", "data.b"]],
    ['{"data":{"__proto__":1,"__proto__":2}}', ["data.__proto__"]],
    ['{"data":{"":1,"":2}}', ["data."]],
    ['{"data":{"🦉":1, "\\ud83e\\udd89" : {}}}', ["data.🦉"]],
    ['{"data":{"a":1},"data":{"b":1}}', ["data"]],
    ['{"data":{"a":1},"mode":"skip","mode":"overwrite"}', ["mode"]],
    ['{"data":{"a":1},"if_version":{"a":1,"a":2}}', ["if_version.a"]],
  ];
  for (const [body, expected] of cases) {
    const problem = await app.refused("repeated-keys", "POST", "/kv/write", { token, body });
    assert.equal(problem.status, 400);
    assert.deepEqual(paths(problem), expected, body);
  }
  await app.refused("keys-not-found", "POST", "/kv/read", { token, body: { keys: ["a"] } });
});

Deno.test("Everyone has their own keys, and one space is shared on request", async () => {
  const [one, other] = await app.people(2) as [Person, Person];
  const key = `shared-${crypto.randomUUID()}`;
  await write(one, { [key]: "own" });
  await app.refused("keys-not-found", "POST", "/kv/read", { token: other.token, body: { keys: [key] } });
  await write(one, { [key]: "for all" }, { space: "shared" });
  assert.deepEqual((await write(other, { [key]: "mine" }, { space: "shared" })).ignored, [key]);
  assert.deepEqual((await write(other, { [key]: "other" })).ignored, []);
  assert.deepEqual((await read(other, [key], { space: "shared" })).data, { [key]: "for all" });
  assert.deepEqual((await read(one, [key])).data, { [key]: "own" });
  assert.deepEqual((await read(other, [key], { space: "own" })).data, { [key]: "other" });
  await app.refused("validation", "POST", "/kv/read", { token: one.token, body: { keys: [key], space: "everyone" } });
});

Deno.test("A person with an unverified email has keys, too", async () => {
  const person = await app.person({ verified: false });
  await write(person, { a: 1 });
  assert.deepEqual((await read(person, ["a"])).data, { a: 1 });
});

Deno.test("Deleting lists keys that did not exist, without an error", async () => {
  const person = await app.person();
  const { token } = person;
  await write(person, { a: 1, b: 2, c: 3 });
  const gone = await app.call("POST", "/kv/delete", { token, body: { keys: ["c", "x", "a"] } });
  assert.deepEqual([gone.status, gone.body], [200, { status: "success", ignored: ["x"] }]);
  assert.deepEqual((await read(person, ["b"])).data, { b: 2 });
  await app.refused("keys-not-found", "POST", "/kv/read", { token, body: { keys: ["a"] } });
  assert.deepEqual((await write(person, { a: "again" })).ignored, []);
  await app.refused("repeated-keys", "POST", "/kv/delete", { token, body: { keys: ["b", "b"] } });
  assert.deepEqual((await read(person, ["b"])).data, { b: 2 });
});

Deno.test("Invalid UTF-8 is rejected, not stored as something else", async () => {
  const person = await app.person();
  const bytes = new TextEncoder().encode('{"data":{"a":"?"}}');
  bytes[bytes.indexOf(63)] = 0xff;
  const { status, text } = await raw(person, "/kv/write", bytes);
  assert.deepEqual([status, JSON.parse(text).detail], [400, "The request body is not UTF-8"]);
});

Deno.test("A deleted account's keys are deleted, and its keys in the shared space stay", async () => {
  const [person, admin] = await Promise.all([app.person(), app.admin()]);
  const key = `left-${crypto.randomUUID()}`;
  await write(person, { a: 1, b: 2 });
  await write(person, { [key]: 1 }, { space: "shared" });
  const pairs = async () =>
    (await app.ctx.sql.query<{ n: number }>("select count(*) as n from kv where space = $1", [person.id]))[0]!.n;
  assert.equal(await pairs(), 2);
  await app.ok("DELETE", `/users/${person.id}`, { token: admin.token });
  assert.equal(await pairs(), 0);
  assert.deepEqual((await read(admin, [key], { space: "shared" })).data, { [key]: 1 });
});
