/**
 * Runs the tests and ends with one line: `N passed, N failed` or `N passed, N failed, N skipped`. Fails when one failed,
 * when none ran, and when the run itself broke. `deno task` says which sets there are; arguments narrow them to files whose
 * path contains one of the words.
 */
import { parseArgs } from "node:util";
import { boundToParent, startNats, startPostgres, startRedis } from "./support/servers.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const ENCODER = new TextEncoder();
const USAGE =
  "usage: deno run -A tests/run.ts [--fast | --full] [--chaos] [--filter text] [--jobs n] [word of a path …]";

/** What half a minute has room for: all that needs no server, who may do what, and one story on the embedded default. */
const FAST = ["tests/tables/", "tests/http/permissions_test.ts", "tests/http/posts_test.ts"];

type Sets = { fast?: boolean | undefined; chaos?: boolean | undefined };

async function main(): Promise<number> {
  const { values: options, positionals: words } = readArguments();
  const files = (await testFiles("tests")).filter((file) => isChosen(file, options, words)).sort();
  if (files.length === 0) return fail("No test file matches");
  await using servers = new AsyncDisposableStack();
  const env = options.full ? await startServers(servers) : {};
  if (!env) return 1;
  const jobs = Number(options.jobs ?? 1);
  const [program, args] = boundToParent([
    ...[Deno.execPath(), "test", "-A", "--no-check"],
    ...(jobs > 1 ? ["--parallel"] : []),
    ...(options.filter === undefined ? [] : ["--filter", options.filter]),
    ...files,
  ]);
  const child = new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: { ...env, DENO_JOBS: String(jobs), ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }) },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  // The servers are to stop in order as well.
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => kill(child));
  const counts = await follow(child.stdout);
  const { success } = await child.status;
  // A process that died tells no number of its own.
  if (!success && counts.failed === 0) counts.failed = 1;
  const skipped = counts.ignored > 0 ? `, ${counts.ignored} skipped` : "";
  await servers.disposeAsync();
  if (counts.passed + counts.failed === 0) print("No test ran");
  print(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
  return counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

function readArguments() {
  try {
    return parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: {
        fast: { type: "boolean" },
        full: { type: "boolean" },
        chaos: { type: "boolean" },
        filter: { type: "string" },
        jobs: { type: "string" },
      },
    });
  } catch (error) {
    print(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    Deno.exit(2);
  }
}

function isChosen(file: string, sets: Sets, words: string[]): boolean {
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

/** The addresses for the tests. What cannot start is left out, and its tests with it; in CI that is a failure. */
async function startServers(stack: AsyncDisposableStack): Promise<Record<string, string> | undefined> {
  const env: Record<string, string> = {};
  const starts = {
    Postgres: async () => env.TEST_POSTGRES_URL = stack.use(await startPostgres()).url,
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
      if (Deno.env.get("CI") === "true") return void fail("All servers are needed in CI");
    }
  }
  return env;
}

/** Passes the output on and adds up its closing lines, like `FAILED | 4 passed (2 steps) | 1 failed | 3 ignored (5s)`. */
async function follow(output: ReadableStream<Uint8Array>) {
  const counts = { passed: 0, failed: 0, ignored: 0 };
  let line = "";
  const decoder = new TextDecoder();
  for await (const chunk of output) {
    writeAll(chunk);
    const lines = (line + decoder.decode(chunk, { stream: true })).split("\n");
    line = lines.pop()!;
    for (const each of lines) count(each, counts);
  }
  count(line, counts);
  // A process that died left its line unfinished.
  if (line !== "") print("");
  return counts;
}

function count(line: string, counts: { passed: number; failed: number; ignored: number }): void {
  // deno-lint-ignore no-control-regex
  const plain = line.replaceAll(/\x1b\[[0-9;]*m/g, "");
  if (!/^(ok|FAILED) \| \d+ passed.* \(\S+\)$/.test(plain)) return;
  for (const [, number, what] of plain.matchAll(/(\d+) (passed|failed|ignored)/g)) {
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
