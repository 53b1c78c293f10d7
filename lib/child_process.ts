import type { Log } from "./log.ts";
import { lowerPriority, type PRIORITY } from "./process_info.ts";
import { backoff } from "./backoff.ts";
import { sleep } from "./sleep.ts";

export interface ChildProcess extends AsyncDisposable {
  /** The port on 127.0.0.1. */
  port: number;
}

export interface ChildPlan {
  /** With article, as in `the mail server`. */
  name: string;
  /** The module to run. It ends with its standard input, and prints its port in its first line. */
  entry: URL;
  /** Permission flags of Deno. */
  permissions: string[];
  /** Environment variables, besides those that Deno needs. */
  env: (port: number) => Record<string, string>;
  /** 0 picks a free port, which is kept over restarts. */
  port: number;
  /** A lower priority than this process. */
  priority?: keyof typeof PRIORITY;
  /** Retries a first start that fails, until this aborts. Without it the failure is thrown. */
  retryStart?: AbortSignal;
  log: Log;
}

/** What Deno needs to find its cache. No secret of the parent is passed on. */
const PASSED_ON = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"];
/** For the spans of a child. Deno reads these itself. The headers may have the key of the collector. */
const OF_TRACING = [
  ...["OTEL_DENO", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"],
  ...["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS"],
  ...["OTEL_BSP_SCHEDULE_DELAY", "OTEL_PROPAGATORS"],
];
/** After this run time earlier failures no longer count. */
const WELL_MS = 30_000;
const RESTART_BACKOFF = backoff({ firstMs: 100, maxMs: 10_000 });
const STOP_MS = 2_000;

/**
 * Runs a module as a child process. It ends with its standard input, so it never outlives this process. If it exits, it
 * is restarted on the same port. Throws if the first start fails, unless `retryStart` is given.
 */
export async function startChildProcess(plan: ChildPlan): Promise<ChildProcess> {
  const closed = new AbortController();
  let child = spawn(plan, plan.port);
  let port = await firstPort(plan, child);
  for (let failures = 1; port === undefined; failures++) {
    await sleep(RESTART_BACKOFF(failures), plan.retryStart!);
    if (plan.retryStart!.aborted) throw new Error(`${plan.name} is no longer needed`);
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
      plan.log.warn(`${plan.name} exited, restarting`, { code, pause_ms: pause });
      await sleep(pause, closed.signal);
      if (closed.signal.aborted) return;
      child = spawn(plan, fixedPort);
      // A child that fails to start exits, and the loop restarts it.
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

/** The port of a first start; undefined if the child exited and is to be retried. */
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
  const passedOn = [...PASSED_ON, ...OF_TRACING].flatMap((name) => {
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

/** The child prints its port in its first line. */
async function firstLine(output: ReadableStream<Uint8Array>, name: string): Promise<number> {
  let text = "";
  const reader = output.pipeThrough(new TextDecoderStream()).getReader();
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${name[0]!.toUpperCase()}${name.slice(1)} exited before it was ready`);
    text += value;
  }
  // Keep reading, or the child would block on a full pipe.
  void (async () => {
    while (!(await reader.read()).done);
  })().catch(() => {});
  return (JSON.parse(text.slice(0, text.indexOf("\n"))) as { port: number }).port;
}
