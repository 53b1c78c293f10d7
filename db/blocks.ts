/** Whether a block is in force, and its description. `infinity` is permanent, as in Postgres. */
import type { PageRow } from "./pages.ts";
import type { AccountSnapshot } from "./users.ts";

export function isBlocked({ blocked_until: until }: { blocked_until: string | null }, now: number): boolean {
  return until !== null && (until === "infinity" || Date.parse(until) > now);
}

/** The reason and the end, for the blocked person. */
export function blockDetail(
  { blocked_until: until, blocked_reason: reason }: Pick<AccountSnapshot, "blocked_until" | "blocked_reason">,
): string {
  return `The account is blocked ${until === "infinity" ? "permanently" : `until ${until}`}: ${
    reason ?? "no reason given"
  }`;
}

/** The block in force, of the page or its owner, whichever lasts longer; `until: null` is permanent. */
export function blockOf(
  { blocked_until, blocked_reason, owner_blocked_until }: Pick<
    PageRow,
    "blocked_until" | "blocked_reason" | "owner_blocked_until"
  >,
  now: number,
): { reason: string | null; until: string | null } | null {
  const own = endOf(blocked_until);
  const owners = endOf(owner_blocked_until);
  if (Math.max(own, owners) <= now) return null;
  const until = own >= owners ? blocked_until : owner_blocked_until;
  const reason = own >= owners ? blocked_reason : "The owner's account is blocked";
  return { reason, until: until === "infinity" ? null : until };
}

function endOf(until: string | null): number {
  return until === null ? -Infinity : until === "infinity" ? Infinity : Date.parse(until);
}
