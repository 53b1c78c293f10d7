import type { Log } from "./log.ts";
import { lowerPriority, type PRIORITY } from "./process_info.ts";
import { backoff } from "./backoff.ts";
import { sleep } from "./sleep.ts";

export interface ChildProcess extends AsyncDisposable {
  /** Where it listens, on 127.0.0.1. */
  port: number;
}

export interface ChildPlan {
  /** As in `the mail server`. */
  name: string;
  /** The module that runs; it ends when its standard input does, and says its port in its first line. */
  entry: URL;
  /** Flags of Deno. */
  permissions: string[];
  /** All that it learns from this process, beside what Deno needs. */
  env: (port: number) => Record<string, string>;
  /** 0 takes a free one, and keeps it over restarts. */
  port: number;
  /** Where it need not go as first as this process. */
  priority?: keyof typeof PRIORITY;
  /** Nobody waits for it: a first start that fails is tried again until this aborts. */
  retryStart?: AbortSignal;
  log: Log;
}

/** What Deno itself needs to find its cache; no secret of the parent goes along. */
const PASSED_ON = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"];
/** A child that lived this long counts as well. */
const WELL_MS = 30_000;
const RESTART_BACKOFF = backoff({ firstMs: 100, maxMs: 10_000 });
const STOP_MS = 2_000;

/**
 * Runs a module as a process of its own: it ends when its standard input does, so it never outlives this process, however
 * that ends. If it dies, it is started again on the same port. Throws when it does not come up the first time, unless `retryStart` is given.
 */
export async function startChildProcess(plan: ChildPlan): Promise<ChildProcess> {
  const closed = new AbortController();
  let child = spawn(plan, plan.port);
  let port = await firstPort(plan, child);
  for (let failures = 1; port === undefined; failures++) {
    await sleep(RESTART_BACKOFF(failures), plan.retryStart!);
    if (plan.retryStart!.aborted) throw new Error(`${plan.name} was not needed any more`);
    child = spawn(plan, plan.port);
    port = await firstPort(plan, child);
  }
  const fixedPort = port;
  lowerChildPriority(plan, child);

  const tending = (async () => {
    for (let failures = 0; !closed.signal.aborted;) {
      const startedAt = Date.now();
      const { code } = await child.status;
      if (closed.signal.aborted) return;
      if (Date.now() - startedAt > WELL_MS) failures = 0;
      const pause = RESTART_BACKOFF(++failures);
      plan.log.warn(`${plan.name} ended and is started anew`, { code, pause_ms: pause });
      await sleep(pause, closed.signal);
      if (closed.signal.aborted) return;
      child = spawn(plan, fixedPort);
      // One that fails to start ends, and is tended as any that ended.
      void firstLine(child.stdout, plan.name).then(() => lowerChildPriority(plan, child)).catch(() => {});
    }
  })();

  return {
    port: fixedPort,
    async [Symbol.asyncDispose]() {
      closed.abort();
      await child.stdin.close().catch(() => {});
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await child.status;
      clearTimeout(timer);
      await tending;
    },
  };
}

/** Where a child listens that is started for the first time; undefined where it ended before and is to be tried again. */
async function firstPort(plan: ChildPlan, child: Deno.ChildProcess): Promise<number | undefined> {
  try {
    return await firstLine(child.stdout, plan.name);
  } catch (error) {
    if (!plan.retryStart || plan.retryStart.aborted) throw error;
    plan.log.warn(`${plan.name} did not start, retrying`, { code: (await child.status).code });
    return undefined;
  }
}

function spawn({ entry, permissions, env }: ChildPlan, port: number): Deno.ChildProcess {
  const passedOn = PASSED_ON.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...permissions, entry.href],
    clearEnv: true,
    env: { ...Object.fromEntries(passedOn), ...env(port) },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

function lowerChildPriority({ priority }: ChildPlan, { pid }: Deno.ChildProcess): void {
  if (priority) lowerPriority(pid, priority);
}

/** The child says its port in its first line. */
async function firstLine(output: ReadableStream<Uint8Array>, name: string): Promise<number> {
  let text = "";
  const reader = output.pipeThrough(new TextDecoderStream()).getReader();
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${name[0]!.toUpperCase()}${name.slice(1)} ended before it was ready`);
    text += value;
  }
  // Read on, so that the child is never blocked by what nobody reads.
  void (async () => {
    while (!(await reader.read()).done);
  })().catch(() => {});
  return (JSON.parse(text.slice(0, text.indexOf("\n"))) as { port: number }).port;
}
