/** The process of the bundled mail server; ends when its standard input does. */
import { connectPostgres } from "../../db/postgres.ts";
import { Log } from "../../lib/log.ts";
import { startMailServer } from "../../services/mail/server.ts";
import { leaveSignalsToParent } from "../../lib/signals.ts";

leaveSignalsToParent();

const sql = connectPostgres(Deno.env.get("DATABASE_URL") ?? "", { max: 2, applicationName: "rookery-mail" });
const log = new Log("info", { part: "mail" });
const server = await startMailServer(sql, { host: "127.0.0.1", port: Number(Deno.env.get("MAIL_PORT") ?? 0), log });
Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify({ port: server.port })}\n`));

// The parent only ever closes it: by its will or by its death.
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
