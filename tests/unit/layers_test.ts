/** The import rules of CONTRIBUTING.md. Type imports count, too. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path/posix";
import { projectFiles, readSource } from "../support/sources.ts";

/** Each folder may import itself and those before it. */
const LAYERS = ["lib", "db", "contract", "security", "services", "actors", "live", "jobs", "routes", "workers"];
/** These import what they need, and only tests import them. */
const TOOLS = ["bench", "tasks", "tests"];
/** The settings and what a route handler may use: for the folders that build it and use it. */
const ROOT = new Map([["main.ts", []], ["config.ts", ["routes", "workers"]], ["config_values.ts", []], ["context.ts", [
  "routes",
  "workers",
]]]);
/** Measurements run on the servers of the tests and on the words of the demo; their command line is a task's. */
const FOR_BENCH = /^bench\/.* -> (tests\/(support|packages)|tasks\/(demo|commands))\/\w+\.ts$/;

const files = projectFiles(".ts");
const imports = new Map(files.map((file) => [file, importsOf(file)]));

Deno.test("Every import goes to a lower layer or stays in its folder", () => {
  const wrong = [...imports].flatMap(([from, targets]) =>
    targets.filter((to) => !mayImport(from, to)).map((to) => `${from} -> ${to}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("No files import each other in a circle", () => assert.deepEqual(circles(), []));

Deno.test("Every file is imported by the program or is an entry", () => {
  const started = readSource("deno.json") + readSource(".ci/run") + readSource("docker/entrypoint.sh");
  const used = new Set([...imports].flatMap(([from, targets]) => from.startsWith("tests/") ? [] : targets));
  const usedByTests = new Set([...imports].flatMap(([from, targets]) => from.startsWith("tests/") ? targets : []));
  const left = files.filter((file) =>
    !used.has(file) && !started.includes(file) && !file.endsWith("_test.ts") &&
    !(file.startsWith("tests/") && usedByTests.has(file))
  );
  assert.deepEqual(left, []);
});

Deno.test("Every folder is in CONTRIBUTING's map", () => {
  const map = readSource("CONTRIBUTING.md");
  const folders = new Set(projectFiles("").filter((file) => /^\w+\//.test(file)).map((file) => folderOf(file)));
  for (const folder of folders) assert.ok(map.includes(`| \`${folder}/\``), `CONTRIBUTING's map lacks ${folder}/`);
  for (const folder of new Set(files.map(folderOf))) {
    assert.ok(LAYERS.includes(folder) || TOOLS.includes(folder) || ROOT.has(folder), `Unknown folderOf ${folder}`);
  }
});

function folderOf(file: string): string {
  return file.split("/", 1)[0]!;
}

function mayImport(from: string, to: string): boolean {
  if (FOR_BENCH.test(`${from} -> ${to}`)) return true;
  const [mine, other] = [folderOf(from), folderOf(to)];
  if (mine === "tests") return true;
  if (TOOLS.includes(other)) return mine === other;
  if (TOOLS.includes(mine) || ROOT.has(mine)) return true;
  if (ROOT.has(other)) return (ROOT.get(other) as string[]).includes(mine);
  // The runtime of the actors does not depend on their decisions.
  if (from.startsWith("actors/runtime/")) return ["lib", "db"].includes(other) || to.startsWith("actors/runtime/");
  // A service can run alone: it imports its own folder only. Images also use the storage.
  if (mine === "services" && other === "services") {
    return to.startsWith(from.split("/", 2).join("/") + "/") ||
      from.startsWith("services/images/") && to.startsWith("services/storage/");
  }
  return LAYERS.indexOf(other) <= LAYERS.indexOf(mine) && LAYERS.includes(other);
}

/**
 * Static and dynamic imports, exports from, and entries that are started by URL or by path.
 */
function importsOf(file: string): string[] {
  const found = readSource(file).matchAll(/(?:\bfrom |\bimport |\bimport\(\s*|\bnew URL\(\s*)"(\.{0,2}[\w./-]*\.ts)"/g);
  const paths = [...found].map(([, path]) => join(dirname(file), path!));
  for (const [, path] of readSource(file).matchAll(/"(bench\/\w+\.ts)"/g)) paths.push(path!);
  return [...new Set(paths)].filter((path) => files.includes(path));
}

/** Tarjan's strongly connected components of more than one file. */
function circles(): string[][] {
  const found: string[][] = [];
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string) => {
    index.set(file, index.size);
    low.set(file, index.get(file)!);
    stack.push(file);
    for (const next of imports.get(file)!) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== index.get(file)) return;
    const component = stack.splice(stack.indexOf(file));
    if (component.length > 1) found.push(component.sort());
  };
  for (const file of files) if (!index.has(file)) visit(file);
  return found;
}
