import { createHash } from "node:crypto";
import type { Reader } from "../db/sql.ts";
import { credentials, pendingByMark, pendingWithoutMark } from "../db/credentials.ts";
import { AppError } from "../lib/errors.ts";
import { folded } from "../lib/folding.ts";
import { hashUnderSalt, verifyAccount } from "./passwords.ts";
import type { Secret } from "./secret.ts";

/**
 * Finds, among all accounts that wait for one address, the one with the given password, with one hash for all of them:
 * the salt is derived from the address (docs/decisions/0018-mailbox-of-a-pending-address.md). Deleted when the address
 * is verified or withdrawn.
 */
export function mailboxMark(secret: Pick<Secret, "mac">, email: string, password: string): Promise<string> {
  const salt = createHash("sha256").update(secret.mac("mailbox", folded(email))).digest().subarray(0, 16);
  return hashUnderSalt(password, salt);
}

/**
 * The account whose mailbox an address and a password open: the account with the address, or one for which the address
 * is pending, or nobody could read the code (`isPending`). A refusal costs the same number of hashes for every address.
 * Throws `credentials-invalid`.
 */
export async function mailboxOwner(
  { sql, secret }: { sql: Reader; secret: Pick<Secret, "mac"> },
  email: string,
  password: string,
): Promise<{ id: string; isPending: boolean }> {
  const account = await credentials(sql, email);
  if (await verifyAccount(account, password)) return { id: account!.id, isPending: false };
  const marked = await pendingByMark(sql, email, await mailboxMark(secret, email, password));
  if (marked) return { id: marked, isPending: true };
  const unmarked = await pendingWithoutMark(sql, email);
  if (await verifyAccount(unmarked, password)) return { id: unmarked!.id, isPending: true };
  throw new AppError("credentials-invalid");
}
