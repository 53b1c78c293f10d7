/**
 * Runs a plan: batches in parallel lanes, each with its own servers, then the files that need the machine for
 * themselves.
 */
import type { FileReport } from "./collect.ts";
import { print } from "./output.ts";
import { type Batch, type Plan, setOf, type Sets } from "./plan.ts";
import { writeTimes } from "./times.ts";
import { type Counts, runFiles } from "./process.ts";
import { isCi, startPostgres15, startServers } from "./servers.ts";

/**
 * Files of the set `test` wait more than they compute, so each processor has two lanes. The other sets start whole
 * installations, which keep a processor busy and would lose their leases beside more of them.
 */
function defaultLanes(set: ReturnType<typeof setOf>): number {
  return Math.min(navigator.hardwareConcurrency * (set === "test" ? 2 : 1), 6);
}

export interface RunOptions extends Sets {
  filter?: string | undefined;
  jobs?: number | undefined;
}

export interface RunOutcome {
  counts: Counts;
  reports: FileReport[];
  failures: string[];
}

/** Undefined if a required server did not start. */
export async function runPlan({ beside, alone }: Plan, options: RunOptions): Promise<RunOutcome | undefined> {
  const running = new Set<Deno.ChildProcess>();
  // The servers also stop in order.
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      beside.length = alone.length = 0;
      for (const child of running) kill(child);
    });
  }
  const lanes = Math.max(1, Math.min(options.jobs ?? defaultLanes(setOf(options)), beside.length));
  const outcome: RunOutcome = { counts: { passed: 0, failed: 0, ignored: 0 }, reports: [], failures: [] };
  await using servers = new AsyncDisposableStack();
  const starting = Array.from({ length: lanes }, () => startServers(servers, options.fast ?? false));
  const older = beside.some(({ postgres15 }) => postgres15) ? await startPostgres15(servers) : undefined;
  const envs = await Promise.all(starting);
  if (envs.some((env) => !env) || (!older && isCi() && beside.some(({ postgres15 }) => postgres15))) return undefined;
  const work = async (env: Record<string, string>, batches: Batch[]) => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      if (batch.postgres15 && !older) continue;
      const settings = batch.postgres15 ? { ...env, ...older } : env;
      const { counts, reports, left, failures = [] } = await runFiles(batch.files, {
        env: settings,
        filter: options.filter,
        running,
      });
      if (left.length > 0) batches.push({ ...batch, files: left });
      outcome.reports.push(...reports);
      outcome.failures.push(...failures);
      outcome.counts.passed += counts.passed;
      outcome.counts.failed += counts.failed;
      outcome.counts.ignored += counts.ignored;
    }
  };
  await Promise.all(envs.map((env) => work(env!, beside)));
  await work(envs[0]!, alone);
  await servers.disposeAsync();
  printSlowest(outcome.reports);
  if (outcome.failures.length > 0) print(["Failed:", ...outcome.failures].join("\n  "));
  if (Deno.env.get("TEST_TIMES") === "write") await writeTimes(outcome.reports);
  return outcome;
}

const SLOWEST = 10;

function printSlowest(reports: FileReport[]): void {
  const slowest = reports.toSorted((a, b) => b.ms! - a.ms!).slice(0, SLOWEST);
  if (slowest.length < 2) return;
  print(`The slowest files, in seconds, with their processor time:`);
  for (const { file, ms, cpuMs } of slowest) print(`${seconds(ms!)}  ${seconds(cpuMs!)}  ${file}`);
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1).padStart(6);
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has already ended.
  }
}
