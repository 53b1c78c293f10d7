/** Accounts for sign-in, with their password hashes. */
import { folded, foldLogin } from "../lib/folding.ts";
import type { Reader } from "./sql.ts";

export interface Credentials {
  id: string;
  password_hash: string;
  password_version: number;
}

/** For sign-in: by login or email, regardless of case; undefined for other text. */
export async function credentials(sql: Reader, loginOrEmail: string): Promise<Credentials | undefined> {
  const column = loginOrEmail.includes("@") ? "email" : "login";
  const key = column === "email" ? folded(loginOrEmail) : foldLogin(loginOrEmail);
  const [row] = await sql.query<Credentials>(
    `select id, password_hash, password_version from users where lower(${column}) = $1`,
    // Queried in any case, so that the response time reveals nothing.
    [key ?? ""],
    `user.credentials_by_${column}`,
  );
  return row;
}

export async function credentialsOf(sql: Reader, id: string): Promise<Credentials | undefined> {
  const [row] = await sql.query<Credentials>(
    "select id, password_hash, password_version from users where id = $1",
    [id],
    "user.credentials_by_id",
  );
  return row;
}

/** The account with this pending address, by the mark of its password. */
export async function pendingByMark(sql: Reader, email: string, mark: string): Promise<string | undefined> {
  const [row] = await sql.query<{ id: string }>(
    "select id from users where lower(pending_email) = $1 and mailbox_mark = $2 order by id limit 1",
    [folded(email), mark],
    "user.pending_by_mark",
  );
  return row?.id;
}

/** The latest account with this pending address and without a mark, as when an administrator set the address. */
export async function pendingWithoutMark(sql: Reader, email: string): Promise<Credentials | undefined> {
  const [row] = await sql.query<Credentials>(
    // `offset 0` keeps the limit separate: otherwise the planner would read all accounts from the last one on.
    `select id, password_hash, password_version
    from (select * from users where lower(pending_email) = $1 and mailbox_mark is null offset 0) u
    order by id desc limit 1`,
    [folded(email)],
    "user.pending_without_mark",
  );
  return row;
}
