/**
 * No statement reads a large table from end to end, except those listed here. The functions and triggers of the
 * database are not covered: Postgres plans their statements when they run.
 */
import assert from "node:assert/strict";
import type { Param, Sql } from "../../db/sql.ts";
import { allStatements } from "../../tasks/statements/collect.ts";
import { openTestDatabase } from "../support/database.ts";
import { fillLargeTables, largeTables } from "../support/large_tables.ts";
import { fullScans, plansOf } from "../support/plans.ts";

/** Each with its reason. This list only shrinks: add an index or change the statement instead. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "file.known: jobs": "Only `deno task storage:scrub` runs it, for many files at once.",
  "job.count: jobs": "It counts all jobs. Finished jobs are deleted.",
  "job.list: jobs": "Administrators list the jobs of all states. Finished jobs are deleted.",
  "receipt.end_all_leases: receipts": "It runs once, at the start of a process that is alone.",
  "user.list: users": "Administrators search for a part of a login, email or name. An index finds only beginnings.",
};
/** The planner sees at least this many rows in each large table. */
const MIN_ROWS = 300_000;

interface Planned {
  name: string;
  text: string;
  isCommit: boolean;
  params: readonly (readonly Param[])[];
}

/** Statements with the tables that each reads from end to end. */
const SAMPLES: readonly [text: string, tables: string[]][] = [
  ["select from posts where text = 'a'", ["posts"]],
  ["select from posts where text = 'a' order by id limit 1", ["posts"]],
  ["select from users where id in (select author from (select max(user_id::text)::uuid as author from likes) l)", [
    "likes",
  ]],
  ["select from posts order by id limit 1", []],
  ["select from posts where id = '00000000-0000-7000-8000-000000000001'", []],
  ["select from users where blocked_until is not null", []],
  ["select from sequencer", []],
];

Deno.test("Statements read large tables by their indexes", async (t) => {
  await using sql = await openTestDatabase({ max: 1 });
  await fillLargeTables(sql);
  const large = await largeTables(sql);
  const partial = await partialIndexes(sql);
  const scansOf = async (text: string, params: readonly Param[] = []) =>
    (await plansOf(sql, text, params)).flatMap((plan) => fullScans(plan, partial)).filter((table) => large.has(table));

  await t.step("Every table is large or is listed as small", () => {
    const few = [...large].filter(([, rows]) => rows < MIN_ROWS);
    assert.deepEqual(few, [], "fill these in tests/support/large_tables.ts, or list them there as small");
  });

  await t.step("A full scan is recognised", async () => {
    for (const [text, tables] of SAMPLES) assert.deepEqual([...new Set(await scansOf(text))], tables, text);
  });

  await t.step("Only the exceptions have one", async () => {
    const found = new Set<string>();
    for (const { name, text, isCommit, params } of [...await allStatements(), ...await foreignKeys(sql)]) {
      // With the settings of the connection that runs it.
      await sql.query(`set enable_seqscan = ${isCommit ? "off" : "on"}`);
      for (const values of params) {
        const tables = await scansOf(text, values).catch((error) => assert.fail(`${name}: ${error.message}`));
        for (const table of tables) found.add(`${name}: ${table}`);
      }
    }
    const excepted = new Set(Object.keys(EXCEPTIONS));
    assert.deepEqual([...found.difference(excepted)], [], "these statements read the whole table");
    assert.deepEqual([...excepted.difference(found)], [], "these exceptions are no longer needed");
  });
});

/** The statements that Postgres runs for each foreign key when a referenced row is deleted. */
async function foreignKeys(sql: Sql): Promise<Planned[]> {
  const keys = await sql.query<{ name: string; table: string; column: string }>(
    `select k.conname as name, k.conrelid::regclass::text as table, a.attname as column
    from pg_constraint k join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any(k.conkey)
    where k.contype = 'f'`,
  );
  assert.ok(keys.length > 10, `only ${keys.length} foreign keys were found`);
  return keys.map(({ name, table, column }) => ({
    name,
    text: `select from only ${table} x where $1 = ${column} for key share of x`,
    isCommit: false,
    params: [["00000000-0000-7000-8000-000000000001"]],
  }));
}

/** Partial indexes have few rows, so reading all of one may be best. */
async function partialIndexes(sql: Sql): Promise<Set<string>> {
  const rows = await sql.query<{ name: string }>(
    "select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid where i.indpred is not null",
  );
  return new Set(rows.map(({ name }) => name));
}
