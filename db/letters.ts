import { newId } from "../security/ids.ts";
import type { JobRef } from "./jobs.ts";
import type { Reader, Sql } from "./sql.ts";

/** The kind of the jobs that bring one letter to one account. */
export const LETTER_JOB = "letter";

export function letter(job: string): JobRef[] {
  return [{ kind: LETTER_JOB, id: job }];
}

export interface NewLetter {
  message_id: string;
  sender: string;
  recipient: string;
  subject: string;
  text: string;
  html: string | null;
}

/** A Message-ID that the recipient has already is dropped. */
export async function storeLetter(
  sql: Sql,
  { message_id, sender, recipient, subject, text, html }: NewLetter,
): Promise<void> {
  await sql.query(
    `insert into letters (id, message_id, sender, recipient, subject, text, html) values ($1, $2, $3, lower($4), $5, $6, $7)
    on conflict (message_id, recipient) do nothing`,
    [newId(), message_id, sender, recipient, subject, text, html],
    "letter.store",
  );
}

export interface Letter {
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string | null;
  at: string;
}

/** The letters delivered to an address, newest first; with `onlyOf`, those that are about this account. */
export async function lettersFor(
  sql: Reader,
  address: string,
  limit: number,
  onlyOf: string | null,
): Promise<Letter[]> {
  return await sql.query<Letter>(
    `select sender as "from", recipient as "to", subject, text, html, at from letters
    where recipient = lower($1) and ($3::text is null or right(message_id, length($3) + 10) = '.' || $3 || '@rookery>')
    order by at desc, id desc limit $2`,
    [address, limit, onlyOf],
    "letter.list",
  );
}

/** Whether a code's letter still says the truth: a newer code makes the older one void. */
export async function codeInForce(
  sql: Reader,
  userId: string,
  purpose: "verify" | "recover",
  nonce: string,
): Promise<boolean> {
  const rows = await sql.query(
    `select 1 from users where id = $1 and ${purpose}_nonce = $2`,
    [userId, nonce],
    `letter.${purpose}_in_force`,
  );
  return rows.length > 0;
}
