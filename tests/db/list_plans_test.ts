/**
 * Statements that take a list stay fast when tables grow after planning, without an `analyze`. For statements with a
 * kept plan the plan of a nearly empty database is checked; the others are planned each time.
 */
import assert from "node:assert/strict";
import { deletePairs, insertPairs, readPairs, SHARED_SPACE, writeIfVersion, writePairs } from "../../db/kv.ts";
import { fillWorld } from "../../bench/world.ts";
import type { Sql } from "../../db/sql.ts";
import { commitStatements } from "../../tasks/statements/commits.ts";
import { openTestDatabase } from "../support/database.ts";
import { projectFiles, readSource } from "../support/sources.ts";

/** `LISTED` of `ROWS` rows are requested. */
const ROWS = 50_000;
const LISTED = 10_000;
/** A scan per item takes seconds, an index takes a tenth of a second. */
const QUICK_MS = 6_000;
/** Tables that grow. */
const GROWN = new Set(["users", "pages", "posts", "follows"]);
/** Files that may keep plans for lists. Their statements are tested below. */
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
  assert.equal((await quickly("the query", () => ask(words))).length, LISTED);
  assert.deepEqual(
    await sql.query("select name from pg_prepared_statements where name = 'things.by_word'"),
    [],
    "no plan is kept",
  );
});

Deno.test("Every commit uses the indexes of grown tables, even if the database was analysed when empty", async () => {
  await using sql = await open();
  await sql.execute("vacuum (analyze)");
  // An automatic analyze between two of the tables would change the plans.
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
  // From the sixth run on a kept plan is generic.
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

/** All statements of the store that take a list of keys. `mark` makes new keys. */
async function everyStatement(sql: Sql, keys: string[], mark: string): Promise<void> {
  const fresh = keys.map((key) => `${mark} ${key}`);
  await quickly("the insert", () => insertPairs(sql, [batch(fresh)]));
  const kept = await quickly("a write that keeps", () => writePairs(sql, [batch(keys)], false));
  assert.equal(kept[0]!.ignored.length, keys.length);
  await quickly("an overwrite", () => writePairs(sql, [batch(keys)], true));
  const [space] = await sql.query<{ revision: number }>("select revision from kv_spaces where id = $1", [SHARED_SPACE]);
  const versions = keys.map(() => space!.revision);
  const written = await quickly("a write by version", () => writeIfVersion(sql, batch(keys), versions));
  assert.deepEqual(written.changed, []);
  const late = await quickly("a late write by version", () => writeIfVersion(sql, batch(keys), versions));
  assert.equal(late.changed.length, keys.length);
  const read = await quickly(
    "the read",
    () => readPairs(sql, SHARED_SPACE, keys, { maxBytes: 8 * 1024 * 1024, versions: true }),
  );
  assert.equal(Object.keys(JSON.parse(`{${read.pairs}}`)).length, keys.length);
  const gone = await quickly("the deletion", () => deletePairs(sql, SHARED_SPACE, fresh));
  assert.equal(gone.length, keys.length);
}

function batch(keys: readonly string[]) {
  return { space: SHARED_SPACE, keys, values: keys.map(() => "1"), ttlS: null, receipt: undefined };
}

async function quickly<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  const took = performance.now() - start;
  assert.ok(took < QUICK_MS, `${what} took ${Math.round(took)} ms`);
  return result;
}

interface Node {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Cond"?: string;
  Plans?: Node[];
}

/** Full scans of tables that have grown. */
function wholeScans(node: Node): string[] {
  const table = node["Relation Name"];
  const whole = node["Node Type"] === "Seq Scan" ||
    /^Index (Only )?Scan$/.test(node["Node Type"]) && node["Index Cond"] === undefined;
  return [
    ...(whole && table !== undefined && GROWN.has(table) ? [`${node["Node Type"]} of ${table}`] : []),
    ...(node.Plans ?? []).flatMap(wholeScans),
  ];
}
