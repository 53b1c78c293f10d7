/**
 * Runs the tests, some files beside each other (`--jobs 1`: none), and ends with one line: `N passed, N failed`, or with `, N skipped`.
 * Fails when one failed, when none ran, and when the run itself broke. `deno task` says which sets there are; arguments narrow them to
 * files whose path contains one of the words.
 */
import { readCommandLine } from "../lib/command_line.ts";
import { chaos, test } from "../tasks/commands/test.ts";
import { boundToParent, startNats, startPostgres, startRedis, TEST_LOCK } from "./support/servers.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const ENCODER = new TextEncoder();

/** What half a minute has room for: all that needs no server, who may do what, and one story on the embedded default. */
const FAST = ["tests/unit/", "tests/http/permissions_test.ts", "tests/http/posts_test.ts"];

/** What runs once more on Postgres 15, the oldest one that may be used: migrations, statements, and what drivers promise. */
const ON_POSTGRES_15 = [
  "tests/db/commit_statements_test.ts",
  "tests/conformance/kv_test.ts",
  "tests/db/list_plans_test.ts",
  "tests/db/search_migration_test.ts",
  "tests/db/statement_plans_test.ts",
  "tests/conformance/search_test.ts",
  "tests/conformance/sql_test.ts",
  "tests/http/posts_test.ts",
];

/** These stop processes, hold others still and count the seconds: nothing runs beside them. */
const ALONE = ["tests/chaos/", "tests/live/block_storm_test.ts"];
/** Tests wait a good part of their time, so two processes of them share two cores well. Each has servers of its own. */
const DEFAULT_LANES = navigator.hardwareConcurrency > 1 ? 2 : 1;
/** Files a process runs. */
const BATCH = 8;

interface Counts {
  passed: number;
  failed: number;
  ignored: number;
}

type Sets = { fast: boolean; chaos: boolean };

async function main(): Promise<number> {
  const options = readCommandLine(Deno.args.includes("--chaos") ? chaos : test);
  const files = (await testFiles("tests")).filter((file) => isChosen(file, options, options.words)).sort();
  if (files.length === 0) return fail("No test file matches");
  const isAlone = (file: string) => ALONE.some((path) => file.startsWith(path));
  const older = files.filter((file) => ON_POSTGRES_15.includes(file));
  const beside = batchesOf(files.filter((file) => !isAlone(file)));
  const alone = batchesOf(files.filter(isAlone));
  const lanes = Math.max(1, Math.min(options.jobs ?? DEFAULT_LANES, beside.length));
  const running = new Set<Deno.ChildProcess>();
  // The servers are to stop in order as well.
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      beside.length = alone.length = 0;
      for (const child of running) kill(child);
    });
  }
  const counts: Counts = { passed: 0, failed: 0, ignored: 0 };
  await using servers = new AsyncDisposableStack();
  const envs: Record<string, string>[] = [];
  for (let i = 0; i < lanes; i++) {
    const env = await startServers(servers, options.fast);
    if (!env) return 1;
    envs.push(env);
  }
  const work = async (env: Record<string, string>, batches: string[][]) => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      const { passed, failed, ignored } = await runFiles(batch, { env, filter: options.filter, running });
      counts.passed += passed;
      counts.failed += failed;
      counts.ignored += ignored;
    }
  };
  await Promise.all(envs.map((env) => work(env, beside)));
  await work(envs[0]!, alone);
  if (!options.fast && !options.chaos && older.length > 0) {
    const env = await startPostgres15(servers);
    if (!env && isCi()) return 1;
    if (env) await work({ ...envs[0]!, ...env }, batchesOf(older));
  }
  await servers.disposeAsync();
  const skipped = counts.ignored > 0 ? `, ${counts.ignored} skipped` : "";
  if (counts.passed + counts.failed === 0) print("No test ran");
  print(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
  return counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

/** So many that each lane ends at about the same time, and so few that starting them costs little. */
function batchesOf(files: string[]): string[][] {
  return Array.from(
    { length: Math.ceil(files.length / BATCH) },
    (_, i) => files.slice(i * BATCH, (i + 1) * BATCH),
  );
}

interface Batch {
  env: Record<string, string>;
  filter: string | undefined;
  running: Set<Deno.ChildProcess>;
}

async function runFiles(files: string[], { env, filter, running }: Batch): Promise<Counts> {
  const [program, args] = boundToParent([
    ...[Deno.execPath(), "test", "-A", "--no-check", TEST_LOCK],
    ...(filter === undefined ? [] : ["--filter", filter]),
    ...files,
  ]);
  const child = new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: { ...env, ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  running.add(child);
  const counts: Counts = { passed: 0, failed: 0, ignored: 0 };
  const block = new Block();
  await Promise.all([follow(child.stdout, block, counts), follow(child.stderr, block, counts)]);
  const { success } = await child.status;
  running.delete(child);
  block.flush();
  // A process that died tells no number of its own.
  if (!success && counts.failed === 0) counts.failed = 1;
  return counts;
}

function isChosen(file: string, sets: Sets, words: readonly string[]): boolean {
  if (words.length > 0 && !words.some((word) => file.includes(word.replace(/^\.\//, "")))) return false;
  const isChaos = file.startsWith("tests/chaos/");
  if (sets.chaos) return isChaos;
  return !sets.fast || FAST.some((path) => file.startsWith(path));
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

/** The addresses for the tests. What is not installed is left out, and its tests with it; in CI that is a failure. */
async function startServers(stack: AsyncDisposableStack, fast: boolean): Promise<Record<string, string> | undefined> {
  const env: Record<string, string> = {};
  env.TEST_POSTGRES_URL = stack.use(await startPostgres({ fsync: false })).url;
  if (fast) return env;
  const starts = {
    Redis: async () => env.TEST_REDIS_URL = stack.use(await startRedis()).url,
    NATS: async () => {
      const server = stack.use(await startNats());
      [env.TEST_NATS_URL, env.TEST_NATS_WS_URL] = [server.url, server.wsUrl];
    },
  };
  for (const [name, start] of Object.entries(starts)) {
    try {
      await start();
    } catch (error) {
      print(`${name} did not start: ${error instanceof Error ? error.message : error}`);
      if (isCi()) return void fail("All servers are needed in CI");
    }
  }
  return env;
}

async function startPostgres15(stack: AsyncDisposableStack): Promise<Record<string, string> | undefined> {
  try {
    const { url } = stack.use(await startPostgres({ debian: true, fsync: false }));
    print("Once more, on Postgres 15");
    return { TEST_POSTGRES_URL: url };
  } catch (error) {
    print(`Postgres 15 did not start: ${error instanceof Error ? error.message : error}`);
    if (isCi()) fail("All servers are needed in CI");
  }
}

function isCi(): boolean {
  return Deno.env.get("CI") === "true";
}

/** What one process says of one file, shown together, so that those beside each other can be told apart. */
class Block {
  #lines: string[] = [];

  push(line: string): void {
    if (/^running \d+ tests? from /.test(plain(line))) this.flush();
    this.#lines.push(line);
  }

  flush(): void {
    for (const line of this.#lines.splice(0)) print(line);
  }
}

/** Passes the output on and adds up its closing lines, like `FAILED | 4 passed (2 steps) | 1 failed | 3 ignored (5s)`. */
async function follow(output: ReadableStream<Uint8Array>, block: Block, counts: Counts): Promise<void> {
  for await (const line of linesOf(output)) {
    block.push(line);
    count(line, counts);
  }
}

async function* linesOf(output: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let line = "";
  const decoder = new TextDecoder();
  for await (const chunk of output) {
    const lines = (line + decoder.decode(chunk, { stream: true })).split("\n");
    line = lines.pop()!;
    yield* lines;
  }
  // A process that died left its line unfinished.
  if (line !== "") yield line;
}

/** Without colours. */
function plain(line: string): string {
  // deno-lint-ignore no-control-regex
  return line.replaceAll(/\x1b\[[0-9;]*m/g, "");
}

function count(line: string, counts: Counts): void {
  const told = plain(line);
  if (!/^(ok|FAILED) \| \d+ passed.* \(\S+\)$/.test(told)) return;
  for (const [, number, what] of told.matchAll(/(\d+) (passed|failed|ignored)/g)) {
    counts[what as keyof typeof counts] += Number(number);
  }
}

function fail(message: string): number {
  print(message);
  print("0 passed, 0 failed");
  return 1;
}

function print(message: string): void {
  writeAll(ENCODER.encode(message + "\n"));
}

function writeAll(bytes: Uint8Array): void {
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended already.
  }
}

Deno.exit(await main());
