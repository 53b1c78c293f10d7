import { blockPage, type Reach, reachOfPageBlock, unblockPage } from "../db/moderation.ts";
import type { PageRow } from "../db/pages.ts";
import { byRow } from "./moderator.ts";
import type { PageCommands, PageState } from "./page_commands.ts";
import { commit, type Decision, refuse } from "./runtime/actor.ts";
import type { CommandOf } from "./runtime/commands.ts";
import type { Refusal } from "./runtime/protocol.ts";

/** Moderators may set temporary blocks only. */
export function block(
  state: PageRow,
  { by, reason, until, job, dry_run }: CommandOf<PageCommands, "block">,
  at: string,
): Decision<PageState, Reach | null> {
  if (by.role === "user") return refuse("forbidden");
  if (by.role === "moderator" && (until === "infinity" || state.blocked_until === "infinity")) {
    return refuse("forbidden", "Only administrators can block permanently");
  }
  if (dry_run) {
    return { type: "read", run: async (sql) => ({ state, value: await reachOfPageBlock(sql, state.id) }) };
  }
  return commit(
    blockPage,
    { id: state.id, until, job, at, ...byRow(by, reason) },
    () => ({ value: null, state: "drop" }),
  );
}

/** Moderators may lift temporary blocks only. */
export function unblock(
  state: PageRow,
  { by, reason }: CommandOf<PageCommands, "unblock">,
  at: string,
): Decision<PageState, null> {
  if (by.role === "user") return refuse("forbidden");
  if (by.role === "moderator" && state.blocked_until === "infinity") {
    return refuse("forbidden", "Only administrators can lift a permanent block");
  }
  return commit(unblockPage, { id: state.id, at, ...byRow(by, reason) }, () => ({ value: null, state: "drop" }));
}

export function blockedPage(block: { reason: string | null; until: string | null }, owner: boolean): Refusal {
  if (!owner) return { code: "page-blocked" };
  const until = block.until === null ? "permanently" : `until ${block.until}`;
  return { code: "page-blocked", detail: `The page is blocked ${until}: ${block.reason ?? "no reason given"}` };
}
