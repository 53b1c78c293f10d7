/**
 * Statements that take a list stay fast when the tables grow after they were planned: without an analyse between. Those
 * whose plan is kept are judged by the plan of a nearly empty database; the rest are planned each time.
 */
import assert from "node:assert/strict";
import { deletePairs, insertPairs, readPairs, SHARED_SPACE, writeIfVersion, writePairs } from "../../db/kv.ts";
import { fillWorld } from "../../bench/world.ts";
import type { Sql } from "../../db/sql.ts";
import { commitStatements } from "../../tasks/statements/commits.ts";
import { openTestDatabase } from "../support/database.ts";
import { projectFiles, readSource } from "../support/sources.ts";

/** Of so many rows, so many are asked for. */
const ROWS = 50_000;
const LISTED = 10_000;
/** Rows times items take seconds, with an index they take a tenth of one. */
const SOON_MS = 2_000;
/** The tables that a world is made of. */
const GROWN = new Set(["users", "pages", "posts", "follows"]);
/** Files that may name a kept list, each of whose statements is tried below. */
const KEEPERS = ["actors/runtime/committer.ts", "db/kv.ts"];

const open = () => openTestDatabase({ max: 1, byIndex: true });

Deno.test("A statement with a list is planned for that list", async () => {
  await using sql = await open();
  await sql.script(
    'create table things (id int primary key, word text collate "C" not null); create index on things (word)',
  );
  const ask = (words: readonly string[]) =>
    sql.query("select id from things where word = any($1::text[])", [words], "things.by_word");
  await sql.execute("insert into things values (-1, 'a'), (-2, 'b')");
  await sql.execute("analyze things");
  for (let i = 0; i < 7; i++) assert.equal((await ask(["a", "b"])).length, 2);
  await sql.execute(`insert into things select i, 'word ' || i from generate_series(1, ${ROWS}) i`);
  const words = Array.from({ length: LISTED }, (_, i) => `word ${i + 1}`);
  assert.equal((await soon("the question", () => ask(words))).length, LISTED);
  assert.deepEqual(
    await sql.query("select name from pg_prepared_statements where name = 'things.by_word'"),
    [],
    "nothing is kept",
  );
});

Deno.test("Every commit uses the indexes of grown tables, even if the database was analysed when empty", async () => {
  await using sql = await open();
  await sql.execute("vacuum (analyze)");
  // An analyze in the background, between two of the tables, would be another situation.
  for (const table of GROWN) await sql.execute(`alter table ${table} set (autovacuum_enabled = false)`);
  await fillWorld(sql, { people: 2_000, posts: ROWS, follows: 20, readers: 10 });
  const statements = (await commitStatements()).flatMap((commit) => [commit, commit.receipted ?? []].flat());
  assert.ok(statements.length >= 40, `${statements.length} statements were found`);
  await sql.query("set plan_cache_mode = force_generic_plan");
  const slow: string[] = [];
  for (const [i, { name, text }] of statements.entries()) {
    await sql.query(`prepare commit_${i} as ${text}`);
    const [row] = await sql.query<{ "QUERY PLAN": { Plan: Node }[] }>(
      `explain (format json) execute commit_${i} ('[]', '{}')`,
    );
    slow.push(...wholeScans(row!["QUERY PLAN"][0]!.Plan).map((scan) => `${name}: ${scan}`));
  }
  assert.deepEqual(slow, []);
});

Deno.test("Ten thousand pairs are read and written quickly in a space that was nearly empty", async () => {
  await using sql = await open();
  const few = ["a", "b"];
  await insertPairs(sql, [batch(few)]);
  await sql.execute("vacuum (analyze)");
  // A kept plan is one for any list from the sixth time on.
  for (let i = 0; i < 7; i++) await everyStatement(sql, few, `few ${i}`);
  await sql.execute(
    `insert into kv (space, key, value, version)
    select '${SHARED_SPACE}'::uuid, 'key ' || i, '1', 1 from generate_series(1, ${ROWS}) i`,
  );
  await everyStatement(sql, Array.from({ length: LISTED }, (_, i) => `key ${i + 1}`), "many");
});

Deno.test("Generic plans for lists are used only where these tests check them", () => {
  const found = projectFiles(".ts").filter((path) =>
    !path.startsWith("tests/") && path !== "db/values.ts" && /\bkeptList\(/.test(readSource(path))
  );
  assert.deepEqual(found, KEEPERS);
});

/** All statements of the store that take a list of keys. What is written is there already, or is new by its `mark`. */
async function everyStatement(sql: Sql, keys: string[], mark: string): Promise<void> {
  const fresh = keys.map((key) => `${mark} ${key}`);
  await soon("the insert", () => insertPairs(sql, [batch(fresh)]));
  const kept = await soon("a write that keeps", () => writePairs(sql, [batch(keys)], false));
  assert.equal(kept[0]!.ignored.length, keys.length);
  await soon("a write over", () => writePairs(sql, [batch(keys)], true));
  const [space] = await sql.query<{ revision: number }>("select revision from kv_spaces where id = $1", [SHARED_SPACE]);
  const versions = keys.map(() => space!.revision);
  const written = await soon("a write by version", () => writeIfVersion(sql, batch(keys), versions));
  assert.deepEqual(written.changed, []);
  const late = await soon("a late write by version", () => writeIfVersion(sql, batch(keys), versions));
  assert.equal(late.changed.length, keys.length);
  const read = await soon(
    "the read",
    () => readPairs(sql, SHARED_SPACE, keys, { maxBytes: 8 * 1024 * 1024, versions: true }),
  );
  assert.equal(Object.keys(JSON.parse(`{${read.pairs}}`)).length, keys.length);
  const gone = await soon("the deletion", () => deletePairs(sql, SHARED_SPACE, fresh));
  assert.equal(gone.length, keys.length);
}

function batch(keys: readonly string[]) {
  return { space: SHARED_SPACE, keys, values: keys.map(() => "1"), ttlS: null, receipt: undefined };
}

async function soon<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await work();
  const took = performance.now() - begun;
  assert.ok(took < SOON_MS, `${what} took ${Math.round(took)} ms`);
  return result;
}

interface Node {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Cond"?: string;
  Plans?: Node[];
}

/** Where a plan reads the whole of a table that has grown. */
function wholeScans(node: Node): string[] {
  const table = node["Relation Name"];
  const whole = node["Node Type"] === "Seq Scan" ||
    /^Index (Only )?Scan$/.test(node["Node Type"]) && node["Index Cond"] === undefined;
  return [
    ...(whole && table !== undefined && GROWN.has(table) ? [`${node["Node Type"]} of ${table}`] : []),
    ...(node.Plans ?? []).flatMap(wholeScans),
  ];
}
