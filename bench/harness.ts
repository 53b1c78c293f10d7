import { startPostgres } from "../tests/support/servers.ts";
import { connectPostgres } from "../db/postgres.ts";
import { migrate } from "../db/migrate.ts";
import type { Sql } from "../db/sql.ts";

/** The password of every account in a benchmark. */
export const PASSWORD = "Bench-pass-1";

export interface Installation extends AsyncDisposable {
  databaseUrl: string;
  sql: Sql;
  url: string;
  /** The server's process id, to measure its memory. */
  pid: number;
}

/** A real Postgres with fsync and synchronous_commit on, and a node in its own process. */
export async function startInstallation(
  prepare: (sql: Sql) => Promise<void> = async () => {},
  settings: Record<string, string> = {},
): Promise<Installation> {
  const stack = new AsyncDisposableStack();
  const postgres = stack.use(
    await startPostgres({
      settings: {
        shared_buffers: "1GB",
        max_wal_size: "4GB",
        checkpoint_timeout: "30min",
      },
    }),
  );
  const databaseUrl = await postgres.createDatabase();
  const sql = stack.use(connectPostgres(databaseUrl, { max: 4 }));
  await migrate(sql);
  await prepare(sql);
  await sql.execute("vacuum analyze");
  const { url, pid } = await startServer(stack, databaseUrl, settings);
  return { databaseUrl, sql, url, pid, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const SECRET = "a secret of the bench and of nothing else";

async function startServer(
  stack: AsyncDisposableStack,
  databaseUrl: string,
  settings: Record<string, string>,
): Promise<{ url: string; pid: number }> {
  const dataDir = await Deno.makeTempDir();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "main.ts"],
    env: {
      DATABASE_URL: databaseUrl,
      SECRET_KEY: SECRET,
      DATA_DIR: dataDir,
      PORT: "0",
      RATE_LIMITS: "off",
      ADMIN_PASSWORD: PASSWORD,
      REQUIRE_VERIFIED_EMAIL: "false",
      LOG_LEVEL: "warn",
      ...settings,
    },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  stack.defer(async () => {
    process.kill("SIGTERM");
    await process.status;
    await Deno.remove(dataDir, { recursive: true });
  });
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The server ended before it was ready");
    text += value;
    const url = /ready at (\S+)/.exec(text)?.[1];
    if (url) return { url, pid: process.pid };
  }
}

/** Signs in `bench1` … `benchN` and returns their access tokens. */
export async function signIn(url: string, count: number): Promise<string[]> {
  const tokens: string[] = [];
  for (let i = 1; i <= count; i++) {
    const response = await fetch(`${url}/api/v1/security/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ login: `bench${i}`, password: PASSWORD }),
    });
    const { access_token } = await response.json() as { access_token?: string };
    if (!access_token) throw new Error(`bench${i} could not sign in: ${response.status}`);
    tokens.push(access_token);
  }
  return tokens;
}

export interface Load {
  perSecond: number;
  p99Ms: number;
  maxMs: number;
}

/** Runs `wrk` in its own process; `script` is Lua. Every response must be 2xx. */
export async function wrk(
  url: string,
  { connections, seconds, script }: { connections: number; seconds: number; script: string },
): Promise<Load> {
  const file = await Deno.makeTempFile({ suffix: ".lua" });
  await Deno.writeTextFile(file, script);
  const output = await run(["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "-s", file, url]);
  await Deno.remove(file);
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? /Socket errors: (.*)/.exec(output)?.[1];
  if (bad) throw new Error(`The load met errors: ${bad}\n${output}`);
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    p99Ms: milliseconds(/99%\s+([\d.]+\w+)/.exec(output)?.[1] ?? "0ms"),
    // Average, deviation, maximum.
    maxMs: milliseconds(/Latency\s+\S+\s+\S+\s+([\d.]+\w+)/.exec(output)?.[1] ?? "0ms"),
  };
}

export interface LoadRequest {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: string;
  token: string;
  json?: string;
}

/** A script that sends these requests in rotation. They are generated beforehand, so the load generator stays cheap. */
export function repeating(requests: readonly LoadRequest[]): string {
  const parts = requests.map(({ method, path, token, json }) =>
    `{ ${
      [method, path, `Bearer ${token}`, ...(json === undefined ? [] : [json])].map((part) => JSON.stringify(part)).join(
        ", ",
      )
    } }`
  );
  return `local parts = { ${parts.join(",\n")} }
local made, n = {}, 0
init = function()
  for i, part in ipairs(parts) do
    local headers = { ["Authorization"] = part[3] }
    if part[4] then headers["Content-Type"] = "application/json" end
    made[i] = wrk.format(part[1], part[2], headers, part[4])
  end
end
request = function()
  n = n % #made + 1
  return made[n]
end`;
}

/** Runs `pgbench -M prepared` with this script as the reference. */
export async function pgbench(
  databaseUrl: string,
  { clients, seconds, script }: { clients: number; seconds: number; script: string },
): Promise<number> {
  const file = await Deno.makeTempFile({ suffix: ".sql" });
  await Deno.writeTextFile(file, script);
  const output = await run([
    "pgbench",
    "-n",
    "-M",
    "prepared",
    "-c",
    String(clients),
    "-j",
    "2",
    "-T",
    String(seconds),
    "-f",
    file,
    databaseUrl,
  ]);
  await Deno.remove(file);
  if (/aborted|ERROR/.test(output)) throw new Error(output);
  return Number(/tps = ([\d.]+)/.exec(output)?.[1]);
}

export async function run(command: string[], env: Record<string, string> = {}): Promise<string> {
  const [program, ...args] = command;
  const path = `${Deno.env.get("PATH")}:/usr/lib/postgresql/15/bin`;
  const { success, stdout, stderr } = await new Deno.Command(program === "deno" ? Deno.execPath() : program!, {
    args,
    env: { ...env, PATH: path },
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success) throw new Error(`${command.join(" ")} failed:\n${output}`);
  return output;
}

function milliseconds(text: string): number {
  const value = parseFloat(text);
  return text.endsWith("us") ? value / 1000 : text.endsWith("ms") ? value : value * 1000;
}

/** Rounds per measurement, and the warm-up of the compiler before the first. */
const ROUNDS = 3;
export const WARM_UP_S = 15;

/** Both sides run alternately, because the machine's speed varies. */
export async function inTurns<Ours, Theirs>(
  seconds: number,
  ours: (seconds: number) => Promise<Ours>,
  theirs: (seconds: number) => Promise<Theirs>,
): Promise<[Ours[], Theirs[]]> {
  const share = Math.ceil(seconds / ROUNDS);
  const results: [Ours[], Theirs[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    results[0].push(await ours(share));
    results[1].push(await theirs(share));
  }
  return results;
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** The rate of each round, and the worst p99. */
export function shown(loads: readonly Load[]): string {
  const rates = loads.map(({ perSecond }) => perSecond.toFixed(0)).join(", ");
  return `${rates}/s, p99 up to ${Math.max(...loads.map(({ p99Ms }) => p99Ms)).toFixed(0)} ms`;
}

/** The row of a load against `pgbench`, with its rounds. */
export function pgbenchRow(
  what: string,
  { loads, references, target, unit }: { loads: Load[]; references: number[]; target: number; unit: string },
): Row {
  say(`  ${what}: ${shown(loads)}; pgbench ${references.map((rate) => rate.toFixed(0)).join(", ")}/s`);
  return ratioRow(what, mean(loads.map(({ perSecond }) => perSecond)), mean(references), target, unit);
}

/** Resident memory of a process in bytes. */
export async function memoryOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

export interface Row {
  what: string;
  ours: string;
  reference: string;
  ratio: string;
  target: string;
}

export function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

export function ratioRow(what: string, ours: number, reference: number, target: number, unit: string): Row {
  const ratio = ours / reference;
  return {
    what,
    ours: `${Math.round(ours).toLocaleString("en")} ${unit}`,
    reference: `${Math.round(reference).toLocaleString("en")} ${unit}`,
    ratio: `${ratio.toFixed(2)} ×`,
    target: `≥ ${target} ×`,
  };
}
