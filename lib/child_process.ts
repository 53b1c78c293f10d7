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
 * that ends. If it dies, it is started anew on the same port. Throws when it does not come up the first time.
 */
export async function startChildProcess(plan: ChildPlan): Promise<ChildProcess> {
  const closed = new AbortController();
  let child = spawn(plan, plan.port);
  const port = await firstLine(child.stdout, plan.name);
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
      child = spawn(plan, port);
      // One that fails to start ends, and is tended as any that ended.
      void firstLine(child.stdout, plan.name).then(() => lowerChildPriority(plan, child)).catch(() => {});
    }
  })();

  return {
    port,
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
