import type { ByRow } from "../db/moderation_log.ts";
import type { Role } from "../db/users.ts";

/** Who acts: an account as it is now. */
export interface Actor {
  id: string;
  role: Role;
}

/** Who acts and why, as the record of moderation has it. */
export function byRow({ id, role }: Actor, reason?: string): ByRow {
  return { by_id: id, by_role: role, reason: reason ?? null };
}
