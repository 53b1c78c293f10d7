import { folded, sameEmail } from "../lib/folding.ts";
import { newId } from "../lib/ids.ts";
import type { JobRef } from "./jobs.ts";
import type { Reader, Writer } from "./sql.ts";

export type CodePurpose = "verify" | "recover";

/** The subject of a code: a purpose, an account, and the address it is sent to. */
export interface CodeSubject {
  purpose: CodePurpose;
  user: string;
  address: string;
}

/** The kind of jobs that send one email to one account. */
export const EMAIL_JOB = "letter";

export function emailJob(job: string): JobRef[] {
  return [{ kind: EMAIL_JOB, id: job }];
}

export interface NewEmail {
  message_id: string;
  /** The row of the ledger that the Message-ID names, if any. */
  delivery: { event: string; user: string } | undefined;
  sender: string;
  recipient: string;
  subject: string;
  text: string;
  html: string | null;
}

/**
 * Stores an email in the mailbox of its account: the one for which the ledger is sending it, otherwise the one that has
 * verified the address. An email for no account is dropped, since nobody could read it, and so is a known Message-ID.
 */
export async function storeEmail(
  sql: Writer,
  { message_id, delivery, sender, recipient, subject, text, html }: NewEmail,
): Promise<void> {
  await sql.execute(
    `insert into letters (id, user_id, message_id, sender, recipient, subject, text, html)
    select $1, o.user_id, $2, $3, $4, $5, $6, $7 from (
      select coalesce(
        (select u.id from deliveries d join users u on u.id = d.user_id
          where d.event_id = $8::uuid and d.user_id = $9::uuid and d.state = 'sending'),
        (select u.id from users u where lower(u.email) = $4 and u.email_verified_at is not null)) as user_id) o
    where o.user_id is not null
    on conflict (message_id, recipient) do nothing`,
    [
      newId(),
      message_id,
      sender,
      folded(recipient),
      subject,
      text,
      html,
      delivery?.event ?? null,
      delivery?.user ?? null,
    ],
    "letter.store",
  );
}

export interface StoredEmail {
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string | null;
  at: string;
}

/** The emails in an account's mailbox that were sent to this address, newest first. */
export async function emailsOf(
  sql: Reader,
  { owner, address, limit }: { owner: string; address: string; limit: number },
): Promise<StoredEmail[]> {
  return await sql.query<StoredEmail>(
    `select sender as "from", recipient as "to", subject, text, html, at from letters
    where user_id = $1 and recipient = $2 order by at desc, id desc limit $3`,
    [owner, folded(address), limit],
    "letter.list",
  );
}

/** Whether the email with a code is still to be sent: a newer code or another address invalidates it. */
export async function codeInForce(
  sql: Reader,
  { user, purpose, address }: CodeSubject,
  nonce: string,
): Promise<boolean> {
  const [row] = await sql.query<{ email: string }>(
    `select ${purpose === "verify" ? "coalesce(pending_email, email)" : "email"} as email from users
    where id = $1 and ${purpose}_nonce = $2`,
    [user, nonce],
    `letter.${purpose}_in_force`,
  );
  return row !== undefined && sameEmail(row.email, address);
}
