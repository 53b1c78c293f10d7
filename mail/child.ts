import type { Log } from "../log.ts";
import { startChildProcess } from "../workers/child_process.ts";

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

/** Runs the mail server as a process of its own, which ends with this one and is started anew when it dies. */
export async function startMailChild({ log, port, databaseUrl, sqlSocket }: Options): Promise<MailChild> {
  const net = ["127.0.0.1"];
  if (databaseUrl) net.push(new URL(databaseUrl).hostname);
  if (sqlSocket) net.push(`unix:${sqlSocket}`);
  const child = await startChildProcess({
    name: "the mail server",
    entry: new URL("../workers/mail.ts", import.meta.url),
    permissions: [
      ...["--allow-env", "--allow-sys=hostname", `--allow-net=${net.join(",")}`],
      ...sqlSocket ? [`--allow-read=${sqlSocket}`, `--allow-write=${sqlSocket}`] : [],
    ],
    env: (port) => ({ MAIL_PORT: String(port), DATABASE_URL: databaseUrl ?? "", SQL_SOCKET: sqlSocket ?? "" }),
    port,
    log,
  });
  return { smtpUrl: `smtp://127.0.0.1:${child.port}`, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}
