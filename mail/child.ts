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

/**
 * Runs the mail server as a process of its own: it ends when its standard input does, so it never outlives this process, however
 * that ends. If it dies, it is started anew on the same port.
 */
export async function startMailChild({ log, port, databaseUrl, sqlSocket }: Options): Promise<MailChild> {
  let closed = false;
  let child: Deno.ChildProcess;
  let failures = 0;

  const start = async (wanted: number): Promise<number> => {
    child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-net", "--allow-env", "--allow-read", "--allow-write", "--allow-sys", ENTRY],
      env: {
        MAIL_PORT: String(wanted),
        DATABASE_URL: databaseUrl ?? "",
        SQL_SOCKET: sqlSocket ?? "",
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const mine = child;
    const taken = await firstLine(mine.stdout);
    void mine.status.then(({ code }) => {
      if (closed || child !== mine) return;
      const pause = Math.min(10_000, 100 * 2 ** Math.min(failures++, 7));
      log.warn("the mail server ended and is started anew", { code, pause_ms: pause });
      const again = () =>
        void start(taken).catch((error) =>
          closed || (log.error("the mail server does not start", { error }), setTimeout(again, 5_000))
        );
      setTimeout(again, pause);
    });
    return taken;
  };

  const taken = await start(port);
  return {
    smtpUrl: `smtp://127.0.0.1:${taken}`,
    async [Symbol.asyncDispose]() {
      closed = true;
      await child.stdin.close().catch(() => {});
      const timer = setTimeout(() => child.kill("SIGKILL"), 2_000);
      await child.status;
      clearTimeout(timer);
    },
  };
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
