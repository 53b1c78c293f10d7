/** The process of the bundled statistics. */
import { ANSWER_MS, connectPostgres } from "../../db/postgres.ts";
import { Log } from "../../lib/log.ts";
import { startStatsServer } from "../roles/stats.ts";
import { runChild } from "./run_child.ts";

await runChild((setting) =>
  startStatsServer({
    host: "127.0.0.1",
    port: Number(setting("STATS_PORT") ?? 0),
    ledger: connectPostgres(setting("DATABASE_URL") ?? "", {
      max: 2,
      applicationName: "rookery-stats",
      answerWithinMs: ANSWER_MS,
    }),
    databaseUrl: setting("STATS_DATABASE_URL"),
    natsUrl: setting("NATS_URL"),
    log: new Log("info", { part: "stats" }),
  })
);
