import { z } from "zod";
import { lettersFor } from "../db/letters.ts";
import type { Reader } from "../db/sql.ts";
import { pendingCredentials } from "../db/users.ts";
import { AppError } from "../errors.ts";
import { verifyPassword } from "../security/passwords.ts";
import { answer, type Api, endpoint } from "./http/endpoint.ts";
import * as schemas from "./schemas.ts";
import { checkPassword } from "./security.ts";

/** Letters the mailbox shows at most. */
const MOST_LETTERS = 100;

export function mailRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/mail/inbox",
    access: "anyone",
    summary: "The bundled mailbox: sign in as a mail client would, and read what was delivered",
    tags: ["Mail"],
    limit: "signin",
    body: z.strictObject({ email: schemas.email, password: z.string().min(1).max(256) }),
    answers: { 200: { description: "Letters, newest first", schema: z.object({ letters: z.array(schemas.Letter) }) } },
  }, async ({ ctx, body: { email, password } }) => {
    if (ctx.config.SMTP_URL) throw new AppError("not-found", "Letters go to a mail server of your own");
    const pending = await pendingOwner(ctx.sql, email, password);
    if (!pending) await checkPassword(ctx, email, password);
    return answer(200, { letters: await lettersFor(ctx.sql, email, MOST_LETTERS, pending) });
  });
}

/**
 * An address that waits for its code has a mailbox too, or nobody could read the code. It shows only letters about the account
 * that waits, since the address may be, or become, somebody else's.
 */
async function pendingOwner(sql: Reader, email: string, password: string): Promise<string | null> {
  for (const { id, password_hash } of await pendingCredentials(sql, email)) {
    if (await verifyPassword(password_hash, password)) return id;
  }
  return null;
}
