/**
 * Runs the tests, some files in parallel (`--jobs 1`: none), and ends with one line: `N passed, N failed`, and
 * `, N skipped` if any were. Fails if a test failed, if none ran, and if the run itself failed; in CI also over its
 * budget of processor time. `deno task` lists the sets; arguments select files whose path has one of the words.
 */
import { readCommandLine } from "../lib/command_line.ts";
import { browser, chaos, tasks, test } from "../tasks/commands/test.ts";
import { Calibration, isOverBudget } from "./runner/budget.ts";
import { runPlan } from "./runner/lanes.ts";
import { print } from "./runner/output.ts";
import { isChosen, planOf, setOf } from "./runner/plan.ts";

const ROOT = new URL("../", import.meta.url).pathname;

async function main(): Promise<number> {
  const command = Object.entries({ "--chaos": chaos, "--browser": browser, "--tasks": tasks })
    .find(([option]) => Deno.args.includes(option))?.[1] ?? test;
  const options = readCommandLine(command);
  const files = (await testFiles("tests")).filter((file) => isChosen(file, options, options.words)).sort();
  if (files.length === 0) return fail("No test file matches");
  using calibration = new Calibration();
  const outcome = await runPlan(planOf(files, options), options);
  if (!outcome) return fail("All servers are needed in CI");
  const { counts } = outcome;
  const isWhole = options.words.length === 0 && options.filter === undefined;
  const isOver = isWhole && isOverBudget(setOf(options), calibration);
  const skipped = counts.ignored > 0 ? `, ${counts.ignored} skipped` : "";
  if (counts.passed + counts.failed === 0) print("No test ran");
  print(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
  return isOver || counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

async function testFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(ROOT + folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...await testFiles(path));
    else if (entry.name.endsWith("_test.ts")) found.push(path);
  }
  return found;
}

function fail(message: string): number {
  print(message);
  print("0 passed, 0 failed");
  return 1;
}

Deno.exit(await main());
