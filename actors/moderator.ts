import type { ByRow } from "../db/moderation_log.ts";
import type { AccountRole } from "../db/account_role.ts";

/** Who acts: an account as it is now. */
export interface ActingAccount {
  id: string;
  role: AccountRole;
}

/** Who acts and why, as the record of moderation has it. */
export function byRow({ id, role }: ActingAccount, reason?: string): ByRow {
  return { by_id: id, by_role: role, reason: reason ?? null };
}
