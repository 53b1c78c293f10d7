/** The process of the bundled statistics; ends when its standard input does. */
import { connectPostgres } from "../../db/postgres.ts";
import { Log } from "../../lib/log.ts";
import { startStatsServer } from "../roles/stats.ts";
import { leaveSignalsToParent } from "../../lib/signals.ts";

leaveSignalsToParent();

const setting = (name: string) => Deno.env.get(name) || undefined;
const server = await startStatsServer({
  host: "127.0.0.1",
  port: Number(setting("STATS_PORT") ?? 0),
  ledger: connectPostgres(setting("DATABASE_URL") ?? "", { max: 2, applicationName: "rookery-stats" }),
  databaseUrl: setting("STATS_DATABASE_URL"),
  natsUrl: setting("NATS_URL"),
  apiUrl: setting("API_URL") ?? "",
  log: new Log("info", { part: "stats" }),
});
Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify({ port: server.port })}\n`));

// The parent only ever closes it: by its will or by its death.
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
