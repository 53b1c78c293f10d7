/** The statements of the key–value store under concurrency, the same on each database. */
import assert from "node:assert/strict";
import { deletePairs, type PairsToWrite, prunePairs, readPairs, writeIfVersion, writePairs } from "../../db/kv.ts";
import { PairWriter } from "../../services/kv/pair_writer.ts";
import { migrate } from "../../db/migrate.ts";
import type { Sql } from "../../db/sql.ts";
import { newId } from "../../lib/ids.ts";
import { Seeded } from "../support/seeded.ts";

const OPTIONS = { maxBytes: 1_000_000, versions: true };

type KvTest = (name: string, body: (sql: Sql, owner: string) => Promise<void>) => void;

export function kvSuite(database: string, open: () => Promise<Sql>): void {
  let sql: Sql;
  Deno.test.beforeAll(async () => {
    sql = await open();
    await migrate(sql);
  });
  Deno.test.afterAll(async () => await sql[Symbol.asyncDispose]());
  const test: KvTest = (name, body) =>
    Deno.test(`${database}: ${name}`, async () => await body(sql, await account(sql)));

  newKeyTests(test);
  concurrencyTests(test);
  receiptTests(test);
  writerTests(test);
  batchTests(test);
  limitTests(test);
}

function newKeyTests(test: KvTest): void {
  test(
    "Of many concurrent writes of a new key exactly one wins, and the others list it as ignored",
    async (sql, owner) => {
      for (let round = 0; round < 10; round++) {
        const key = `key ${round}`;
        const writes = await Promise.all(Array.from({ length: 24 }, (_, i) => write(sql, owner, { [key]: i })));
        const winners = writes.flatMap(({ ignored }, i) => ignored.length === 0 ? [i] : []);
        assert.equal(winners.length, 1);
        assert.ok(writes.every(({ ignored }, i) => i === winners[0] || ignored[0] === key));
        assert.deepEqual(await read(sql, owner, [key]), { [key]: winners[0] });
      }
    },
  );

  test(
    "Of many overlapping batches each key has one writer, and the others list it as ignored",
    async (sql, owner) => {
      const batches = Array.from({ length: 12 }, (_, i) => named(i * 20, 60, i));
      const writes = await Promise.all(batches.map((batch) => write(sql, owner, batch)));
      const keys = [...new Set(batches.flatMap((batch) => Object.keys(batch)))];
      const stored = await read(sql, owner, keys);
      for (const [i, batch] of batches.entries()) {
        const lost = Object.keys(batch).filter((key) => stored[key] !== i);
        assert.deepEqual(writes[i]!.ignored, lost);
      }
    },
  );
}

function concurrencyTests(test: KvTest): void {
  test("Batches in opposite orders never deadlock", async (sql, owner) => {
    await write(sql, owner, named(0, 40, "first"));
    const versions = async () =>
      Object.values(JSON.parse(`{${(await found(sql, owner, [...Object.keys(named(0, 40))])).versions}}`));
    for (let round = 0; round < 15; round++) {
      const seen = await versions() as number[];
      const forth = named(0, 60, round);
      const back = Object.fromEntries(Object.entries(forth).reverse());
      const half = Object.fromEntries(Object.entries(named(0, 40, "swapped")).reverse());
      await Promise.all([
        write(sql, owner, forth, { overwrite: true }),
        write(sql, owner, back, { overwrite: true }),
        write(sql, owner, back),
        writeIfVersion(sql, pairs(owner, half), seen.toReversed()),
        deletePairs(sql, owner, Object.keys(named(40, 20)).reverse()),
        write(sql, owner, forth, { overwrite: true }),
        deletePairs(sql, owner, Object.keys(named(40, 20))),
        prunePairs(sql, 100),
      ]);
    }
  });

  test("A batch is visible completely or not at all", async (sql, owner) => {
    const keys = Object.keys(named(0, 30));
    await write(sql, owner, named(0, 30, 0));
    let writing = true;
    const writers = Promise.all(Array.from({ length: 4 }, async (_, writer) => {
      for (let i = 1; i <= 25; i++) {
        const batch = Object.entries(named(0, 30, writer * 100 + i));
        await write(sql, owner, Object.fromEntries(i % 2 ? batch : batch.reverse()), { overwrite: true });
      }
    })).finally(() => writing = false);
    let reads = 0;
    while (writing) {
      const seen = new Set(Object.values(await read(sql, owner, keys)));
      assert.equal(seen.size, 1, `parts of ${[...seen]}`);
      reads++;
    }
    await writers;
    assert.ok(reads > 5);
  });

  test("Of many concurrent compare-and-sets one wins, and the others see its versions", async (sql, owner) => {
    await write(sql, owner, { a: 0, b: 0 });
    for (let round = 1; round <= 10; round++) {
      const { versions } = await found(sql, owner, ["a", "b"]);
      const seen = JSON.parse(`{${versions}}`) as Record<string, number>;
      const tries = await Promise.all(
        Array.from({ length: 12 }, (_, i) => {
          const data = i % 2 ? { a: i, b: i } : { b: i, a: i };
          return writeIfVersion(sql, pairs(owner, data), Object.keys(data).map((key) => seen[key]!));
        }),
      );
      const winners = tries.flatMap(({ changed }, i) => changed.length === 0 ? [i] : []);
      assert.equal(winners.length, 1);
      assert.deepEqual(await read(sql, owner, ["a", "b"]), { a: winners[0], b: winners[0] });
    }
  });
}

function receiptTests(test: KvTest): void {
  test("A write under one receipt happens once, and the receipt has its result", async (sql, owner) => {
    await write(sql, owner, { b: "there" });
    const receipt = await newReceipt(sql);
    const batch = { a: 1, b: 2 };
    const writes = await Promise.all(Array.from({ length: 6 }, () => write(sql, owner, batch, { receipt })));
    assert.deepEqual(writes.filter(({ repeated }) => !repeated).map(({ ignored }) => ignored), [["b"]]);
    assert.deepEqual(await resultOf(sql, receipt), { ignored: ["b"] });
    await deletePairs(sql, owner, ["a"]);
    assert.equal((await write(sql, owner, batch, { receipt, overwrite: true })).repeated, true);
    assert.deepEqual(await read(sql, owner, ["b"]), { b: "there" });
    assert.equal((await found(sql, owner, ["a"])).pairs, null);
  });

  test("A refused compare-and-set leaves its receipt open, a successful one does not", async (sql, owner) => {
    await write(sql, owner, { a: 1 });
    const { a } = JSON.parse(`{${(await found(sql, owner, ["a"])).versions}}`);
    const receipt = await newReceipt(sql);
    const swap = (version: number) => writeIfVersion(sql, { ...pairs(owner, { a: 2 }), receipt }, [version]);
    assert.deepEqual((await swap(a + 1_000)).changed, ["a"]);
    assert.equal(await resultOf(sql, receipt), null);
    assert.deepEqual(await swap(a), { gone: false, repeated: false, ignored: [], changed: [] });
    assert.deepEqual(await resultOf(sql, receipt), { ignored: [] });
    assert.equal((await swap(a)).repeated, true);
    assert.deepEqual(await read(sql, owner, ["a"]), { a: 2 });
  });

  test("An account deleted while it writes leaves no pair behind", async (sql) => {
    for (let round = 0; round < 8; round++) {
      const owner = await account(sql);
      const writes = Array.from({ length: 8 }, (_, i) => write(sql, owner, named(i * 50, 50)));
      const gone = sql.execute("delete from users where id = $1", [owner]);
      const late = Array.from({ length: 8 }, (_, i) => write(sql, owner, named(i * 50, 50), { overwrite: true }));
      await Promise.all([...writes, gone, ...late]);
      assert.equal((await write(sql, owner, { a: 1 })).gone, true);
      assert.equal((await writeIfVersion(sql, pairs(owner, { a: 1 }), [1])).gone, true);
      const [left] = await sql.query<{ n: number }>("select count(*) as n from kv where space = $1", [owner]);
      assert.equal(left!.n, 0);
    }
  });
}

function writerTests(test: KvTest): void {
  test("Waiting batches share a statement, and each gets its own answer", async (sql, owner) => {
    const others = [await account(sql), await account(sql), await account(sql)];
    const gone = newId();
    const receipt = await newReceipt(sql);
    await write(sql, others[0]!, { x: 1 }, { receipt });
    const { writer, statements } = counted(sql);
    const answers = await Promise.all([
      writer.write(pairs(owner, { b: 1, a: 2, c: 3 }), false),
      writer.write({ ...pairs(others[0]!, { x: 2, y: 2 }), receipt }, false),
      writer.write(pairs(gone, { a: 1 }), false),
      writer.write({ ...pairs(others[1]!, { a: 1 }), ttlS: 60 }, false),
      writer.write(pairs(owner, { d: 4 }), false),
      // Another mode waits for the next statement, and so do repeated keys, which are then tried twice.
      writer.write(pairs(others[2]!, { z: 1 }), true),
      writer.write(pairs(owner, { c: "late", e: 5 }), false),
    ]);
    assert.deepEqual(statements, ["kv.insert", "kv.write", "kv.insert", "kv.write"]);
    assert.deepEqual(answers.map(({ gone, repeated, ignored }) => gone ? "gone" : repeated ? "repeated" : ignored), [
      [],
      "repeated",
      "gone",
      [],
      [],
      [],
      ["c"],
    ]);
    assert.deepEqual(await read(sql, owner, ["a", "b", "c", "d", "e"]), { a: 2, b: 1, c: 3, d: 4, e: 5 });
    assert.equal((await found(sql, others[0]!, ["y"])).pairs, null);
    assert.deepEqual(await read(sql, others[1]!, ["a"]), { a: 1 });
    assert.ok((await found(sql, others[1]!, ["a"])).expires_at !== null);
  });

  test(
    "An existing key costs a second statement once, and none while more keys of its space exist",
    async (sql, owner) => {
      const { writer, statements } = counted(sql);
      const ignored = async (data: Record<string, unknown>) => (await writer.write(pairs(owner, data), false)).ignored;
      assert.deepEqual(await ignored({ a: 1 }), []);
      assert.deepEqual(await ignored({ a: 2, b: 2 }), ["a"]);
      assert.deepEqual(await ignored({ b: 3, c: 3 }), ["b"]);
      assert.deepEqual(await ignored({ d: 4 }), []);
      assert.deepEqual(await ignored({ e: 5 }), []);
      assert.deepEqual(statements, ["kv.insert", "kv.insert", "kv.write", "kv.write", "kv.write", "kv.insert"]);
      await sql.execute("update kv set expires_at = now() where space = $1 and key = 'a'", [owner]);
      assert.deepEqual(await ignored({ a: 6 }), []);
      assert.deepEqual(await read(sql, owner, ["a", "b", "c", "d", "e"]), { a: 6, b: 2, c: 3, d: 4, e: 5 });
    },
  );
}

function batchTests(test: KvTest): void {
  test("Of a batch deleted during a write all pairs are deleted or all stay", async (sql, owner) => {
    for (let round = 0; round < 30; round++) {
      await write(sql, owner, { a: round });
      await Promise.all([
        writePairs(sql, [pairs(owner, { a: "new", b: "new", c: "new" })], true),
        deletePairs(sql, owner, ["a", "b", "c"]),
      ]);
      const [row] = await sql.query<{ n: number }>("select count(*)::int as n from kv where space = $1", [owner]);
      assert.ok([0, 3].includes(row!.n), `${row!.n} of 3 are left`);
      await deletePairs(sql, owner, ["a", "b", "c"]);
    }
  });

  test("A statement that fails for a batch is run for each member", async (sql, owner) => {
    const other = await account(sql);
    const writer = new PairWriter(sql);
    // No caller can send this.
    const broken = { ...pairs(owner, { a: 1 }), keys: ["\0"] };
    const answers = await Promise.allSettled([
      writer.write(pairs(other, { a: 1 }), false),
      writer.write(broken, false),
      writer.write(pairs(owner, { b: 1 }), false),
    ]);
    assert.deepEqual(answers.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
    assert.deepEqual(await read(sql, other, ["a"]), { a: 1 });
  });

  test(
    "Under concurrent writes through two processes each new key has one writer and all are answered",
    async (sql, owner) => {
      const random = new Seeded(7);
      const owners = [owner, await account(sql), await account(sql)];
      const writers = [new PairWriter(sql), new PairWriter(sql)];
      const batches = Array.from({ length: 150 }, (_, i) => ({
        space: random.pick(owners),
        data: Object.fromEntries(Array.from({ length: random.whole(1, 8) }, () => [`key ${random.whole(0, 60)}`, i])),
      }));
      const answers = await Promise.all(
        batches.map(({ space, data }) => random.pick(writers).write(pairs(space, data), false)),
      );
      for (const space of owners) {
        const keys = [...new Set(batches.flatMap((batch) => batch.space === space ? Object.keys(batch.data) : []))];
        const stored = await read(sql, space, keys);
        for (const [i, batch] of batches.entries()) {
          if (batch.space !== space) continue;
          assert.deepEqual(answers[i]!.ignored, Object.keys(batch.data).filter((key) => stored[key] !== i));
        }
      }
    },
  );
}

function limitTests(test: KvTest): void {
  test("Only expired pairs are deleted, in limited batches", async (sql, owner) => {
    await write(sql, owner, named(0, 25), { ttlS: 60 });
    await write(sql, owner, named(100, 5), { ttlS: 600 });
    await write(sql, owner, named(200, 5));
    await sql.execute("update kv set expires_at = expires_at - interval '2 minutes' where space = $1", [owner]);
    assert.deepEqual([await prunePairs(sql, 10), await prunePairs(sql, 10), await prunePairs(sql, 10)], [10, 10, 5]);
    assert.equal(await prunePairs(sql, 10), 0);
    const kept = Object.keys({ ...named(100, 5), ...named(200, 5) });
    assert.equal(Object.keys(await read(sql, owner, kept)).length, 10);
  });

  test("Values longer than their share of the answer are read if all fit", async (sql, owner) => {
    await write(sql, owner, { long: "x".repeat(900), a: 1, b: 2, c: 3 });
    const keys = ["a", "long", "b", "c"];
    const fits = await readPairs(sql, owner, keys, { maxBytes: 905, versions: true });
    assert.deepEqual(JSON.parse(`{${fits.pairs}}`), { long: "x".repeat(900), a: 1, b: 2, c: 3 });
    assert.equal(Object.keys(JSON.parse(`{${fits.versions}}`)).length, 4);
    const over = await readPairs(sql, owner, keys, { maxBytes: 904, versions: true });
    assert.deepEqual([over.pairs, over.versions], [null, null]);
    assert.deepEqual(new Map(over.lengths), new Map([["a", 1], ["long", 902], ["b", 1], ["c", 1]]));
  });
}

function pairs(owner: string, data: Record<string, unknown>): PairsToWrite {
  const values = Object.values(data).map((value) => JSON.stringify(value));
  return { space: owner, keys: Object.keys(data), values, ttlS: null, receipt: undefined };
}

async function write(
  sql: Sql,
  owner: string,
  data: Record<string, unknown>,
  { overwrite = false, ...more }: Partial<PairsToWrite> & { overwrite?: boolean } = {},
) {
  return (await writePairs(sql, [{ ...pairs(owner, data), ...more }], overwrite))[0]!;
}

function found(sql: Sql, owner: string, keys: string[]) {
  return readPairs(sql, owner, keys, OPTIONS);
}

async function read(sql: Sql, owner: string, keys: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(`{${(await found(sql, owner, keys)).pairs}}`);
}

/** `count` keys from `from` on, with one value. */
function named(from: number, count: number, value: unknown = 0): Record<string, unknown> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`key ${String(from + i).padStart(4, "0")}`, value]),
  );
}

async function account(sql: Sql): Promise<string> {
  const id = newId();
  await sql.execute(
    `insert into users (id, login, password_hash, first_name, last_name, email, page_id, created_at)
    values ($1, $2, '', '', '', $2, $1, now())`,
    [id, id],
  );
  return id;
}

async function newReceipt(sql: Sql): Promise<string> {
  const id = newId();
  await sql.execute(
    "insert into receipts (id, scope, key, body_mac, lease_until) values ($1, 'test', $2, '', now())",
    [id, id],
  );
  return id;
}

async function resultOf(sql: Sql, receipt: string): Promise<unknown> {
  return (await sql.query<{ result: unknown }>("select result from receipts where id = $1", [receipt]))[0]!.result;
}

/** A writer, and the names of its statements. */
function counted(sql: Sql): { writer: PairWriter; statements: string[] } {
  const statements: string[] = [];
  const execute: Sql["execute"] = (text, params, name) => {
    statements.push(name!);
    return sql.execute(text, params, name);
  };
  return { writer: new PairWriter({ execute }), statements };
}
