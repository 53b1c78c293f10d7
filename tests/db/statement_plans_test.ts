/** No statement reads a table that grows from one end to the other, but for those that are listed here. */
import assert from "node:assert/strict";
import type { Param, Sql } from "../../db/sql.ts";
import { allStatements } from "../../tasks/statements/collect.ts";
import { openTestDatabase } from "../support/database.ts";
import { fillTables, grownTables } from "../support/large_tables.ts";
import { plansOf, readWhole } from "../support/plans.ts";

/** The list may only get shorter: write an index or another statement rather than a line. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "file.known: jobs": "Asked by `deno task storage:scrub` alone, by hand, of many files at once.",
  "job.count: jobs": "Counts them all; a job that is done is none any more.",
  "job.list: jobs": "Of any state, for administrators; a job that is done is none any more.",
  "receipt.end_all_leases: receipts": "Once, as the only process starts, before it serves anybody.",
  "user.list: users": "For administrators, by a part of a login, an e-mail or a name; an index knows beginnings only.",
};
/** What the planner believes a table that grows to have, at least. */
const LARGE = 300_000;

interface Asked {
  name: string;
  text: string;
  isCommit: boolean;
  params: readonly (readonly Param[])[];
}

Deno.test("Statements read tables that have grown by their indexes", async () => {
  await using sql = await openTestDatabase({ max: 1 });
  await fillTables(sql);
  const grown = await grownTables(sql);
  const small = [...grown].filter(([, rows]) => rows < LARGE);
  assert.deepEqual(small, [], "these have few rows: fill them in tests/support/large_tables.ts, or name them there");
  const asked: Asked[] = [...await allStatements(), ...await foreignKeys(sql)];
  const found = new Set<string>();
  const partial = await partialIndexes(sql);
  for (const { name, text, isCommit, params } of asked) {
    // As their connections are set (`db/postgres.ts`).
    await sql.query(`set enable_seqscan = ${isCommit ? "off" : "on"}`);
    for (const values of params) {
      const plans = await plansOf(sql, text, values).catch((error) => assert.fail(`${name}: ${error.message}`));
      const tables = plans.flatMap((plan) => readWhole(plan, partial)).filter((table) => grown.has(table));
      for (const table of tables) found.add(`${name}: ${table}`);
    }
  }
  const excepted = new Set(Object.keys(EXCEPTIONS));
  assert.deepEqual([...found.difference(excepted)], [], "these statements read the whole table");
  assert.deepEqual([...excepted.difference(found)], [], "these exceptions are not needed any more");
});

/** What Postgres asks by itself where a row goes that others refer to. */
async function foreignKeys(sql: Sql): Promise<Asked[]> {
  const keys = await sql.query<{ name: string; table: string; column: string }>(
    `select k.conname as name, k.conrelid::regclass::text as table, a.attname as column
    from pg_constraint k join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any(k.conkey) where k.contype = 'f'`,
  );
  assert.ok(keys.length > 10, `only ${keys.length} foreign keys were found`);
  return keys.map(({ name, table, column }) => ({
    name,
    text: `select from only ${table} x where $1 = ${column} for key share of x`,
    isCommit: false,
    params: [["00000000-0000-7000-8000-000000000001"]],
  }));
}

/** These have few of the rows; reading all of one may be the best. */
async function partialIndexes(sql: Sql): Promise<Set<string>> {
  const rows = await sql.query<{ name: string }>(
    "select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid where i.indpred is not null",
  );
  return new Set(rows.map(({ name }) => name));
}
