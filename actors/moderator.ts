import type { ByRow } from "../db/moderation_log.ts";
import type { AccountRole } from "../db/account_role.ts";

/** The account that performs an action, in its current state. */
export interface ActingAccount {
  id: string;
  role: AccountRole;
}

/** Actor and reason of an action, as stored in the record of moderation. */
export function byRow({ id, role }: ActingAccount, reason?: string): ByRow {
  return { by_id: id, by_role: role, reason: reason ?? null };
}
