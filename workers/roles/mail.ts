import { ANSWER_MS, connectPostgres } from "../../db/postgres.ts";
import { startMailServer } from "../../services/mail/server.ts";
import { type RoleParts, running, type RunningRole } from "./role.ts";

/** `ROLES=mail`: the mail server of a full installation. */
export async function mailRole({ config, log }: RoleParts): Promise<RunningRole> {
  const { DATABASE_URL, HOST, MAIL_PORT } = config;
  if (!DATABASE_URL) {
    throw new Error("ROLES=mail needs DATABASE_URL: the embedded database belongs to the node that runs it");
  }
  await using stack = new AsyncDisposableStack();
  const sql = stack.use(
    connectPostgres(DATABASE_URL, { max: 4, applicationName: "rookery-mail", answerWithinMs: ANSWER_MS }),
  );
  const server = stack.use(await startMailServer(sql, { host: HOST, port: MAIL_PORT || 2525, log }));
  return running(stack, `Rookery's mail server is ready at smtp://${HOST}:${server.port}`);
}
