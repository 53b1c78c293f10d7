import { z } from "zod";
import { emailsOf } from "../db/letters.ts";
import { AppError } from "../lib/errors.ts";
import { foldName } from "../lib/folding.ts";
import { mailboxOwner } from "../security/mailbox.ts";
import { answer } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import * as schemas from "../contract/schemas.ts";

/** Emails listed by the mailbox. */
const MAX_LETTERS = 100;

export function mailRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/mail/inbox",
    access: "anyone",
    summary: "The bundled mailbox: sign in as with a mail client and read the emails of this account",
    tags: ["Mail"],
    limit: "signin",
    guesses: ({ body }) => `password of ${foldName(body.email)}`,
    body: z.strictObject({ email: schemas.email, password: schemas.givenPassword }),
    answers: { 200: { description: "Emails, newest first", schema: z.object({ letters: z.array(schemas.Letter) }) } },
  }, async ({ ctx, body: { email, password } }) => {
    if (ctx.config.SMTP_URL) throw new AppError("not-found", "This server sends emails through SMTP and keeps none");
    const owner = await mailboxOwner(ctx, email, password);
    const letters = await emailsOf(ctx.sql, { owner: owner.id, address: email, limit: MAX_LETTERS });
    // A guesser could use an own account with the same pending address to reset the count.
    return { ...answer(200, { letters }), otherSecret: owner.isPending };
  });
}
