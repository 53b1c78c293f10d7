/** The pair cache of a process never differs from Postgres, also when other processes write. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { deletePairs, prunePairs, readPairs, writePairs } from "../../db/kv.ts";
import type { Sql } from "../../db/sql.ts";
import { PairCache } from "../../services/kv/pair_cache.ts";
import { newId } from "../../lib/ids.ts";
import { sleep } from "../../lib/sleep.ts";
import { openTestDatabase } from "../support/database.ts";
import { Seeded } from "../support/seeded.ts";

const OPTIONS = { maxBytes: 1_000_000, versions: false };

/** A database that counts its statements. */
interface Counting extends Sql {
  asked: Record<string, number>;
}

async function withSpace(test: (sql: Counting, space: string) => Promise<void>): Promise<void> {
  await using database = await openTestDatabase();
  const asked: Record<string, number> = {};
  const counted = (name = "") => void (asked[name] = (asked[name] ?? 0) + 1);
  const sql: Counting = {
    asked,
    script: (text) => database.script(text),
    query: (text, params, name) => {
      counted(name);
      return database.query(text, params, name);
    },
    execute: (text, params, name) => {
      counted(name);
      return database.execute(text, params, name);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const space = newId();
  await sql.execute(
    `insert into users (id, login, password_hash, first_name, last_name, email, page_id, created_at)
    values ($1, $2, '', '', '', $2, $1, now())`,
    [space, space],
  );
  await test(sql, space);
}

function write(sql: Sql, space: string, data: Record<string, unknown>, ttlS: number | null = null) {
  const values = Object.values(data).map((value) => JSON.stringify(value));
  return writePairs(sql, [{ space, keys: Object.keys(data), values, ttlS, receipt: undefined }], true);
}

function inside(pairs: string | null): unknown {
  return pairs === null ? null : JSON.parse(`{${pairs}}`);
}

Deno.test("Pairs that are read often are read from Postgres once, and again after a write", () =>
  withSpace(async (sql, space) => {
    const cache = new PairCache(sql);
    const read = async (...keys: string[]) => inside((await cache.read(space, keys, OPTIONS)).pairs);
    await write(sql, space, { a: 1, b: "é🦉", 'c"\n': [1] });
    for (let i = 0; i < 5; i++) assert.deepEqual(await read("a", "b", 'c"\n'), { a: 1, b: "é🦉", 'c"\n': [1] });
    assert.deepEqual([sql.asked["kv.read"], sql.asked["kv.revision"]], [2, 3]);
    assert.deepEqual(await read("b"), { b: "é🦉" });
    assert.equal(sql.asked["kv.read"], 2);
    assert.equal(await read("a", "none"), null);
    await write(sql, space, { a: 2 });
    assert.deepEqual(await read("a", "b"), { a: 2, b: "é🦉" });
    await deletePairs(sql, space, ["a"]);
    assert.equal(await read("a", "b"), null);
    const { versions } = await cache.read(space, ["b"], { ...OPTIONS, versions: true });
    assert.match(versions!, /^"b":\d+$/);
  }));

Deno.test("If some keys are cached only the others are read, and all are of one revision", () =>
  withSpace(async (sql, space) => {
    const cache = new PairCache(sql);
    const read = async (...keys: string[]) => inside((await cache.read(space, keys, OPTIONS)).pairs);
    await write(sql, space, { a: 1, b: 2, c: 3, d: 4 });
    for (let i = 0; i < 2; i++) assert.deepEqual(await read("a", "b"), { a: 1, b: 2 });
    assert.deepEqual(await read("a", "c", "b"), { a: 1, c: 3, b: 2 });
    assert.deepEqual([sql.asked["kv.read"], sql.asked["kv.revision"] ?? 0], [3, 0]);
    assert.deepEqual(await read("c", "a"), { c: 3, a: 1 });
    assert.deepEqual([sql.asked["kv.read"], sql.asked["kv.revision"]], [3, 1]);
    // The cached `a` is older than the `d` that is read.
    await write(sql, space, { a: "new", d: "new" });
    assert.deepEqual(await read("a", "d"), { a: "new", d: "new" });
    assert.equal(await read("b", "none"), null);
    await write(sql, space, { e: 5 }, 60);
    for (let i = 0; i < 3; i++) assert.deepEqual(await read("a", "e"), { a: "new", e: 5 });
    await sql.execute("update kv set expires_at = now() where space = $1 and key = 'e'", [space]);
    assert.deepEqual(await read("a", "b"), { a: "new", b: 2 });
  }));

Deno.test("A pair is not cached beyond its expiry", () =>
  withSpace(async (sql, space) => {
    const cache = new PairCache(sql);
    await write(sql, space, { a: 1 });
    await write(sql, space, { b: 2 }, 2);
    const ends = Date.now() + 2_000;
    for (let i = 0; i < 4; i++) {
      assert.deepEqual(inside((await cache.read(space, ["a", "b"], OPTIONS)).pairs), { a: 1, b: 2 });
    }
    assert.equal(sql.asked["kv.read"], 2);
    await sleep(ends + 50 - Date.now());
    for (let i = 0; i < 4; i++) {
      assert.equal((await cache.read(space, ["a", "b"], OPTIONS)).pairs, null);
      assert.deepEqual(inside((await cache.read(space, ["a"], OPTIONS)).pairs), { a: 1 });
    }
  }));

Deno.test("The cache stays within its limit, and long values are not cached", () =>
  withSpace(async (sql, space) => {
    const cache = new PairCache(sql, 20_000);
    const all = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`key ${i}`, "x".repeat(300)]));
    await write(sql, space, { ...all, long: "x".repeat(17_000) });
    const reads = async (keys: string[]) => {
      const before = sql.asked["kv.read"] ?? 0;
      for (let i = 0; i < 4; i++) assert.ok((await cache.read(space, keys, OPTIONS)).pairs);
      return sql.asked["kv.read"]! - before;
    };
    assert.equal(await reads(Object.keys(all).slice(0, 20)), 2);
    assert.equal(await reads(["long"]), 4);
    assert.equal(await reads(Object.keys(all)), 4);
    // It fits into the answer, but not with three bytes per character.
    assert.ok((await cache.read(space, ["key 0"], { maxBytes: 302, versions: false })).pairs);
    assert.equal((await cache.read(space, ["key 0"], { maxBytes: 301, versions: false })).pairs, null);
  }));

Deno.test("Two processes that read, write, delete and expire pairs always return what Postgres has", () =>
  withSpace(async (sql, space) => {
    const random = new Seeded(20261121);
    const processes = [new PairCache(sql), new PairCache(sql, 3_000)];
    const some = () => [...new Set(Array.from({ length: random.whole(1, 4) }, () => `key ${random.whole(0, 7)}`))];
    for (let round = 0; round < 600; round++) {
      const act = random.weighted({ read: 12, write: 2, delete: 1, sweep: 1, together: 2 });
      const keys = some();
      if (act === "write") {
        await write(sql, space, Object.fromEntries(keys.map((key) => [key, round])), random.chance(0.1) ? 1 : null);
      } else if (act === "delete") await deletePairs(sql, space, keys);
      else if (act === "sweep") await prunePairs(sql, 10);
      else if (act === "together") {
        // A read after this one returns the newest value.
        await Promise.all([
          ...processes.map((cache) => cache.read(space, keys, OPTIONS)),
          write(sql, space, Object.fromEntries(keys.map((key) => [key, round]))),
          ...processes.map((cache) => cache.read(space, keys, OPTIONS)),
        ]);
      }
      const asked = some();
      const read = async () => inside((await readPairs(sql, space, asked, OPTIONS)).pairs);
      let before = await read();
      for (const cache of processes) {
        const cached = inside((await cache.read(space, asked, OPTIONS)).pairs);
        const after = await read();
        // A pair may expire between two of the reads.
        if (!isDeepStrictEqual(cached, before)) assert.deepEqual(cached, after, `round ${round}`);
        before = after;
      }
    }
    assert.ok(sql.asked["kv.revision"]! > 100, "nothing was cached");
  }));
