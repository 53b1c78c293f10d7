/** One test process: runs the files of `TEST_FILES` one after another, on one node if they share it. */
import { collect, type FileReport } from "./collect.ts";
import { endOfBatch } from "../support/batch.ts";

const ROOT = new URL("../../", import.meta.url);
const files = JSON.parse(Deno.env.get("TEST_FILES")!) as string[];
const filter = Deno.env.get("TEST_FILTER") ?? "";
const reportPath = Deno.env.get("TEST_REPORT")!;

/** Like Deno's filter: a part of the name, or a regular expression between slashes. */
function fits(name: string): boolean {
  const expression = /^\/(.*)\/$/.exec(filter)?.[1];
  return expression === undefined ? name.includes(filter) : new RegExp(expression).test(name);
}

function report(line: FileReport): void {
  Deno.writeTextFileSync(reportPath, JSON.stringify(line) + "\n", { append: true });
}

for (const file of files) await collect(file, new URL(file, ROOT).href, fits, report);
Deno.test.afterAll(endOfBatch);
