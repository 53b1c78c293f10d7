import type { Log } from "../log.ts";

export interface MailChild extends AsyncDisposable {
  smtpUrl: string;
}

interface Options {
  log: Log;
  /** 0 takes a free one, and keeps it over restarts. */
  port: number;
  databaseUrl?: string;
  sqlSocket?: string;
}

const ENTRY = new URL("../workers/mail.ts", import.meta.url).href;
/** What Deno itself needs to find its cache; no secret of the parent goes along. */
const PASSED_ON = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"];
/** A child that lived this long counts as well. */
const WELL_MS = 30_000;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Runs the mail server as a process of its own: it ends when its standard input does, so it never outlives this process, however
 * that ends. If it dies, it is started anew on the same port.
 */
export async function startMailChild({ log, port, databaseUrl, sqlSocket }: Options): Promise<MailChild> {
  const closed = new AbortController();
  let child = spawn(port, databaseUrl, sqlSocket);
  const taken = await firstLine(child.stdout);

  const tending = (async () => {
    for (let failures = 0; !closed.signal.aborted;) {
      const startedAt = Date.now();
      const { code } = await child.status;
      if (closed.signal.aborted) return;
      if (Date.now() - startedAt > WELL_MS) failures = 0;
      const pause = Math.min(LONGEST_PAUSE_MS, 100 * 2 ** failures++);
      log.warn("the mail server ended and is started anew", { code, pause_ms: pause });
      await sleep(pause, closed.signal);
      if (closed.signal.aborted) return;
      child = spawn(taken, databaseUrl, sqlSocket);
      // One that fails to start ends, and is tended as any that ended.
      void firstLine(child.stdout).catch(() => {});
    }
  })();

  return {
    smtpUrl: `smtp://127.0.0.1:${taken}`,
    async [Symbol.asyncDispose]() {
      closed.abort();
      await child.stdin.close().catch(() => {});
      const timer = setTimeout(() => child.kill("SIGKILL"), 2_000);
      await child.status;
      clearTimeout(timer);
      await tending;
    },
  };
}

function spawn(port: number, databaseUrl: string | undefined, sqlSocket: string | undefined): Deno.ChildProcess {
  const net = ["127.0.0.1"];
  if (databaseUrl) net.push(new URL(databaseUrl).hostname);
  if (sqlSocket) net.push(`unix:${sqlSocket}`);
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--allow-env", "--allow-sys=hostname", `--allow-net=${net.join(",")}`],
      ...sqlSocket ? [`--allow-read=${sqlSocket}`, `--allow-write=${sqlSocket}`] : [],
      ENTRY,
    ],
    clearEnv: true,
    env: {
      ...Object.fromEntries(PASSED_ON.flatMap((name) => {
        const value = Deno.env.get(name);
        return value === undefined ? [] : [[name, value]];
      })),
      MAIL_PORT: String(port),
      DATABASE_URL: databaseUrl ?? "",
      SQL_SOCKET: sqlSocket ?? "",
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** The child says its port in its first line. */
async function firstLine(output: ReadableStream<Uint8Array>): Promise<number> {
  let text = "";
  const reader = output.pipeThrough(new TextDecoderStream()).getReader();
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The mail server ended before it was ready");
    text += value;
  }
  // Read on, so that the child is never blocked by what nobody reads.
  void (async () => {
    while (!(await reader.read()).done);
  })().catch(() => {});
  return (JSON.parse(text.slice(0, text.indexOf("\n"))) as { port: number }).port;
}
