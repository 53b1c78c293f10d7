import type { Log } from "../../lib/log.ts";
import { type Child, startChild } from "./start_child.ts";

interface Options {
  log: Log;
  /** 0 selects a free port and keeps it over restarts. */
  port: number;
  databaseUrl: string;
}

/** Starts the mail server; its URL is for SMTP. */
export function startMailChild({ log, port, databaseUrl }: Options): Promise<Child> {
  return startChild({
    name: "the mail server",
    entry: new URL("./mail.ts", import.meta.url),
    scheme: "smtp",
    access: { env: "all", databases: [databaseUrl] },
    env: (port) => ({ MAIL_PORT: String(port), DATABASE_URL: databaseUrl }),
    port,
    log,
  });
}
