/** The plan of a test run: each test runs once, also after failures. */
import assert from "node:assert/strict";
import { batchesOf, isChosen, planOf } from "../runner/plan.ts";
import { outcomeOf } from "../runner/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

async function testFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(ROOT + folder)) {
    if (isDirectory) found.push(...await testFiles(`${folder}/${name}`));
    else if (name.endsWith("_test.ts")) found.push(`${folder}/${name}`);
  }
  return found;
}

Deno.test("Each test file belongs to one of the four sets that the pipeline runs", async () => {
  for (const file of await testFiles("tests")) {
    const sets = [{}, { tasks: true }, { browser: true }, { chaos: true }].filter((sets) => isChosen(file, sets, []));
    assert.equal(sets.length, 1, file);
  }
});

Deno.test("Words choose files of every set by a part of their path", () => {
  assert.ok(isChosen("tests/chaos/kill_test.ts", {}, ["chaos/kill"]));
  assert.ok(isChosen("tests/unit/ids_test.ts", {}, ["./tests/unit/ids", "nothing"]));
  assert.ok(!isChosen("tests/unit/ids_test.ts", {}, ["browser/"]));
});

Deno.test("A plan has each file once, and files for Postgres 15 a second time", async () => {
  const files = (await testFiles("tests")).filter((file) => isChosen(file, {}, []));
  const { beside, alone } = planOf(files, {});
  const once = [...beside.filter(({ postgres15 }) => !postgres15), ...alone].flatMap(({ files }) => files);
  assert.deepEqual(once.toSorted(), files.toSorted());
  const again = beside.filter(({ postgres15 }) => postgres15).flatMap(({ files }) => files);
  assert.ok(again.includes("tests/conformance/sql_test.ts"));
  assert.equal(new Set(again).size, again.length);
  for (const file of again) assert.ok(files.includes(file), `${file} is not a test file`);
});

Deno.test("Batches take about as long as each other, the longest files first", () => {
  const seconds = [1, 9, 3, 20, 7, 12, 5, 18, 2, 4].map((s) => s * 1_000);
  const batches = batchesOf(seconds.map(String), Number).map((files) => files.map(Number));
  const sums = batches.map((files) => files.reduce((sum, ms) => sum + ms, 0));
  assert.ok(Math.max(...sums) - Math.min(...sums) <= 2_000, String(sums));
  for (const files of batches) assert.deepEqual(files, files.toSorted((a, b) => b - a));
});

const REPORTS = [
  { file: "a", passed: 0, failed: 0, ignored: 0 },
  { file: "a", ms: 5, cpuMs: 5, passed: 3, failed: 1, ignored: 2 },
  { file: "b", passed: 0, failed: 0, ignored: 0 },
];

Deno.test("After a crash the finished tests count, the current file has failed, and later files are left", () => {
  const outcome = outcomeOf(["a", "b", "c"], false, undefined, REPORTS);
  assert.deepEqual(outcome.counts, { passed: 3, failed: 2, ignored: 2 });
  assert.deepEqual(outcome.left, ["c"]);
  const summary = { passed: 3, failed: 2, ignored: 2 };
  assert.deepEqual(outcomeOf(["a", "b", "c"], false, summary, REPORTS), { ...outcome, counts: summary });
});

Deno.test("A crash before any test is one failure without a retry", () => {
  const { counts, left } = outcomeOf(["a", "b"], false, undefined, []);
  assert.deepEqual([counts.failed, left], [1, []]);
});
