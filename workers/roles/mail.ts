import type { Config } from "../../config.ts";
import { connectPostgres } from "../../db/postgres.ts";
import type { Log } from "../../lib/log.ts";
import { startMailServer } from "../../services/mail/server.ts";

/** `ROLES=mail`: the mail server of a full installation, until told to stop. */
export async function runMailServer(config: Config, log: Log, stopped: Promise<void>): Promise<void> {
  if (!config.DATABASE_URL) {
    throw new Error("ROLES=mail needs DATABASE_URL: the embedded database belongs to the node that runs it");
  }
  await using sql = connectPostgres(config.DATABASE_URL, { max: 4, applicationName: "rookery-mail" });
  await using server = await startMailServer(sql, { host: config.HOST, port: config.MAIL_PORT || 2525, log });
  Deno.stdout.writeSync(
    new TextEncoder().encode(`Rookery's mail server is ready at smtp://${config.HOST}:${server.port}\n`),
  );
  await stopped;
}
