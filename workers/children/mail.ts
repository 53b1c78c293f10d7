/** The process of the bundled mail server. */
import { ANSWER_MS, connectPostgres } from "../../db/postgres.ts";
import { Log } from "../../lib/log.ts";
import { startMailServer } from "../../services/mail/server.ts";
import { runChild } from "./run_child.ts";

await runChild((setting) => {
  const sql = connectPostgres(setting("DATABASE_URL") ?? "", {
    max: 2,
    applicationName: "rookery-mail",
    answerWithinMs: ANSWER_MS,
  });
  const log = new Log("info", { part: "mail" });
  return startMailServer(sql, { host: "127.0.0.1", port: Number(setting("MAIL_PORT") ?? 0), log });
});
