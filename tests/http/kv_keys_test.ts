import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { listAbout } from "../../contract/cursors.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";

const app = sharedApp();

async function keys({ token }: Person, query = ""): Promise<string[]> {
  const { items } = await app.ok("GET", `/kv/keys?limit=100&${query}`, { token });
  return items.map(({ key }: { key: string }) => key);
}

/** A person with these keys. */
async function holder(...keys: string[]): Promise<Person> {
  const person = await app.person();
  const data = Object.fromEntries(keys.map((key) => [key, key]));
  await app.ok("POST", "/kv/write", { token: person.token, body: { data } });
  return person;
}

Deno.test("Keys are listed in byte order, with version, length and expiry", async () => {
  const person = await holder("b", "a", "Z", "é", "", "🦉", "\uffee", "a b", "10", "9", "_");
  assert.deepEqual(await keys(person), ["", "10", "9", "Z", "_", "a", "a b", "b", "é", "\uffee", "🦉"]);
  const [item] = (await app.ok("GET", "/kv/keys?prefix=é", { token: person.token })).items;
  assert.deepEqual({ ...item, version: 0 }, { key: "é", version: 0, bytes: 4, expires_at: null });
  assert.ok(item.version >= 1);
});

Deno.test("A prefix is taken literally", async () => {
  const person = await holder("a", "a%", "a%b", "a_b", "ab", "aé", "a🦉", "a🦉z", "b", "A");
  const cases: Record<string, string[]> = {
    "a": ["a", "a%", "a%b", "a_b", "ab", "aé", "a🦉", "a🦉z"],
    "a%": ["a%", "a%b"],
    "a_": ["a_b"],
    "a🦉": ["a🦉", "a🦉z"],
    "aé": ["aé"],
    "c": [],
    "b": ["b"],
    "": ["A", "a", "a%", "a%b", "a_b", "ab", "aé", "a🦉", "a🦉z", "b"],
  };
  for (const [prefix, expected] of Object.entries(cases)) {
    assert.deepEqual(await keys(person, `prefix=${encodeURIComponent(prefix)}`), expected, prefix);
  }
});

Deno.test("Pages follow each other by the cursor, for any keys and during writes", async () => {
  const names = [
    "x",
    ...Array.from({ length: 50 }, (_, i) => `p/${i % 7}${"🦉".repeat(i)}`),
    "\u0001".repeat(1_000),
    "p",
  ];
  const person = await holder(...names);
  const expected = names.filter((key) => key.startsWith("p")).sort((a, b) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b))
  );
  const found: string[] = [];
  let path: string | undefined = "/kv/keys?prefix=p&limit=7";
  while (path) {
    const { body, headers } = await app.call("GET", path, { token: person.token });
    found.push(...body.items.map(({ key }: { key: string }) => key));
    const next: string | undefined = /^<(?:.*\/api\/v1)?(\/kv\/keys\?[^>]*)>; rel="next"$/.exec(
      headers.get("link") ?? "",
    )?.[1];
    assert.equal(next === undefined, body.next_cursor === null);
    // Before the position of the cursor, and after it but outside of the prefix.
    await app.ok("POST", "/kv/write", {
      token: person.token,
      body: { data: { [`p${found.length}`]: 1, [`q${found.length}`]: 1 }, mode: "overwrite" },
    });
    path = next;
  }
  assert.deepEqual(found.filter((key) => expected.includes(key)), expected);
  assert.equal(new Set(found).size, found.length);
  assert.ok(found.every((key) => key.startsWith("p")));
  const all = await app.ok("GET", "/kv/keys?limit=1", { token: person.token });
  assert.equal(all.items[0].key.length, 1_000);
  assert.equal(
    (await app.ok("GET", `/kv/keys?limit=1&cursor=${all.next_cursor}`, { token: person.token })).items.length,
    1,
  );
});

Deno.test("A list has the own keys or the shared ones", async () => {
  const [one, other] = await Promise.all([holder("mine"), holder("theirs")]);
  const prefix = crypto.randomUUID();
  await app.ok("POST", "/kv/write", { token: one.token, body: { data: { [`${prefix}/1`]: 1 }, space: "shared" } });
  assert.deepEqual(await keys(one), ["mine"]);
  assert.deepEqual(await keys(other, "space=own"), ["theirs"]);
  assert.deepEqual(await keys(other, `space=shared&prefix=${prefix}`), [`${prefix}/1`]);
});

Deno.test("A cursor of another list, or an invented one, is rejected", async () => {
  const { token, id } = await holder("a");
  const list = listAbout("kv.keys", id, "");
  const cursor = (...key: unknown[]) =>
    new TextEncoder().encode(JSON.stringify(key)).toBase64({ alphabet: "base64url" });
  await app.ok("GET", `/kv/keys?cursor=${cursor(list, "a")}`, { token });
  const made = [
    cursor("a"),
    cursor("kv.keys", "a"),
    cursor(list),
    cursor(list, 1),
    cursor(list, "a", "b"),
    cursor(list, "\0"),
  ];
  for (const wrong of [...made, btoa(`["${list}","\\ud800"]`), btoa(`["${list}","\xff"]`), "!", "a"]) {
    await app.refused("invalid-cursor", "GET", `/kv/keys?cursor=${encodeURIComponent(wrong)}`, { token });
  }
  for (const query of ["prefix=%00", `prefix=${"x".repeat(1_025)}`, "space=all", `cursor=${"x".repeat(9_000)}`]) {
    await app.refused("validation", "GET", `/kv/keys?${query}`, { token });
  }
});
