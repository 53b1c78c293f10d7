import { permissionsFor } from "../../db/embedded/address.ts";
import type { Log } from "../../lib/log.ts";
import { startChildProcess } from "../../lib/child_process.ts";

export interface MailChild extends AsyncDisposable {
  smtpUrl: string;
}

interface Options {
  log: Log;
  /** 0 takes a free one, and keeps it over restarts. */
  port: number;
  databaseUrl: string;
}

/** Runs the mail server as a process of its own, which ends with this one and is started anew when it dies. */
export async function startMailChild({ log, port, databaseUrl }: Options): Promise<MailChild> {
  const { net, files } = permissionsFor([databaseUrl]);
  const child = await startChildProcess({
    name: "the mail server",
    entry: new URL("./mail.ts", import.meta.url),
    permissions: [
      ...["--allow-env", "--allow-sys=hostname", `--allow-net=${["127.0.0.1", ...net].join(",")}`],
      ...files.length > 0 ? [`--allow-read=${files.join(",")}`, `--allow-write=${files.join(",")}`] : [],
    ],
    env: (port) => ({ MAIL_PORT: String(port), DATABASE_URL: databaseUrl }),
    port,
    log,
  });
  return { smtpUrl: `smtp://127.0.0.1:${child.port}`, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}
