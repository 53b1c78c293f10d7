import assert from "node:assert/strict";
import type { Answer } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";

const app = sharedApp();
const MiB = 1024 * 1024;

function write({ token }: Person, body: unknown): Promise<Answer> {
  return app.call("POST", "/kv/write", { token, body });
}

function read({ token }: Person, keys: string[]): Promise<Answer> {
  return app.call("POST", "/kv/read", { token, body: { keys } });
}

/** The message of a refusal for one reason. */
function complaint({ status, slug, body }: Answer, path: string, rule: string): string {
  assert.deepEqual([status, slug], [422, "validation"], JSON.stringify(body).slice(0, 500));
  const [error, ...more] = body.errors;
  assert.deepEqual([error.path, error.rule, more.length], [path, rule, 0]);
  return error.message;
}

Deno.test("A call may have at most 10,000 keys", async () => {
  const person = await app.person();
  const data = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`key ${i}`, i]));
  const keys = Object.keys(data);
  const written = await write(person, { data });
  assert.deepEqual([written.status, written.body.ignored], [201, []]);
  assert.deepEqual((await read(person, keys)).body.data, data);
  assert.equal((await write(person, { data })).body.ignored.length, 10_000);
  assert.match(complaint(await write(person, { data: { ...data, more: 1 } }), "data", "too_big"), /1 to 10000 .*10001/);
  assert.match(complaint(await read(person, [...keys, "more"]), "keys", "too_big"), /1 to 10000 .*10001/);
  const deleted = await app.call("POST", "/kv/delete", { token: person.token, body: { keys } });
  assert.deepEqual(deleted.body.ignored, []);
  assert.equal((await read(person, keys)).body.errors.length, 10_000);
});

Deno.test("A body of too many keys is rejected by their number, not key by key", async () => {
  const { token } = await app.person();
  const keys = `[${"1,".repeat(2_000_000)}1]`;
  for (const path of ["/kv/read", "/kv/delete"]) {
    const answer = await app.call("POST", path, { token, body: `{"keys":${keys}}` });
    assert.match(complaint(answer, "keys", "too_big"), /got 2000001$/);
  }
  const repeated = await app.call("POST", "/kv/write", {
    token,
    body: `{"data":{${'"a":1,'.repeat(1_000_000)}"a":1}}`,
  });
  assert.deepEqual([repeated.slug, repeated.body.errors.length], ["repeated-keys", 1]);
});

Deno.test("A value may have a mebibyte as written; a longer one is rejected with its key", async () => {
  const person = await app.person();
  const longest = "é".repeat(MiB / 2 - 1);
  assert.equal((await write(person, { data: { longest, short: 1 } })).status, 201);
  assert.equal((await read(person, ["longest"])).body.data.longest, longest);
  const answer = await write(person, { data: { fits: 1, "too long": `${longest}x` } });
  assert.match(complaint(answer, "data.too long", "too_big"), /at most 1048576 bytes, got 1048577$/);
  assert.equal((await read(person, ["fits"])).slug, "keys-not-found");
});

Deno.test("A key may have 1,024 bytes; a longer one is rejected, and quoted in short", async () => {
  const person = await app.person();
  const longest = "🦉".repeat(256);
  assert.equal((await write(person, { data: { [longest]: 1 } })).status, 201);
  assert.deepEqual((await read(person, [longest])).body.data, { [longest]: 1 });
  const longer = `${longest}x`;
  const path = `data.${longer.slice(0, 200)}…`;
  assert.match(
    complaint(await write(person, { data: { [longer]: 1 } }), path, "too_big"),
    /at most 1024 bytes, got 1025$/,
  );
  assert.match(complaint(await read(person, [longest, longer]), "keys.1", "too_big"), /at most 1024 bytes, got 1025$/);
  const endless = await write(person, `{"data":{"${"k".repeat(3 * MiB)}":1}}`);
  assert.ok(JSON.stringify(endless.body).length < 2_000);
});

Deno.test("A key that Postgres cannot store is rejected by name; in a value the same is stored", async () => {
  const person = await app.person();
  for (const key of ["a\\u0000", "\\ud800", "x\\udc00y"]) {
    const written = await write(person, `{"data":{"fine":1,"${key}":1}}`);
    assert.match(
      complaint(written, `data.${JSON.parse(`"${key}"`)}`, "well_formed"),
      /without NUL and lone surrogates/,
    );
    const asked = await app.call("POST", "/kv/read", { token: person.token, body: `{"keys":["fine","${key}"]}` });
    complaint(asked, "keys.1", "well_formed");
  }
  assert.equal((await read(person, ["fine"])).slug, "keys-not-found");
});

Deno.test("A value may nest 1,000 levels; a deeper one is rejected with its key", async () => {
  const person = await app.person();
  const nested = (levels: number) => `${'{"a":['.repeat(levels / 2)}1${"]}".repeat(levels / 2)}`;
  const text = `{"data":{"deep":${nested(1_000)}}}`;
  assert.equal((await write(person, text)).status, 201);
  assert.equal(JSON.stringify((await read(person, ["deep"])).body.data.deep), nested(1_000));
  for (const levels of [1_002, 200_000]) {
    const answer = await write(person, `{"data":{"deep":1,"deeper":${nested(levels)}}}`);
    const message = complaint(answer, "data.deeper", "too_deep");
    assert.equal(message, `Expected at most 1000 levels of nesting, got ${levels}`);
  }
  // At a place without a value.
  for (
    const body of ["[".repeat(100_000) + "]".repeat(100_000), `{"keys":${"[".repeat(100_000)}${"]".repeat(100_000)}}`]
  ) {
    for (const path of ["/kv/read", "/kv/write", "/kv/delete"]) {
      const { status } = await app.call("POST", path, { token: person.token, body });
      assert.equal(status, 422, path);
    }
  }
});

Deno.test("A body and the values of one answer may have 8 MiB, and the key that exceeds it is named", async () => {
  const person = await app.person();
  const value = "x".repeat(MiB - 2);
  const keys = Array.from({ length: 9 }, (_, i) => `big ${i}`);
  for (const key of keys) assert.equal((await write(person, { data: { [key]: value } })).status, 201);
  const eight = await read(person, keys.slice(0, 8));
  assert.deepEqual(eight.body.data, Object.fromEntries(keys.slice(0, 8).map((key) => [key, value])));
  const message = complaint(await read(person, keys), "keys.8", "too_big");
  assert.equal(message, 'Up to the key "big 8" the values take 9437184 bytes; expected at most 8388608 in one answer');
  const large = await write(person, { data: { a: value, b: value }, pad: "x".repeat(8 * MiB) });
  assert.deepEqual([large.slug, large.body.detail], ["body-too-large", "Expected at most 8388608 bytes"]);
  const most = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`most ${i}`, value]));
  assert.equal((await write(person, { data: { ...most, rest: "x".repeat(MiB - 200) } })).status, 201);
});

Deno.test("Long bodies of one account are limited; others wait, and short ones are not affected", async () => {
  const person = await app.person();
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) => write(person, { data: { [`long ${i}`]: "x".repeat(500_000) } })),
  );
  const statuses = answers.map(({ status }) => status);
  assert.ok(statuses.filter((status) => status === 201).length >= 2, String(statuses));
  assert.ok(statuses.every((status) => status === 201 || status === 503), String(statuses));
  const short = await Promise.all(Array.from({ length: 8 }, (_, i) => write(person, { data: { [`short ${i}`]: i } })));
  assert.ok(short.every(({ status }) => status === 201));
});
