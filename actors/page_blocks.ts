import { blockPage, reachOfPageBlock, unblockPage } from "../db/moderation.ts";
import type { PageRow } from "../db/pages.ts";
import { byRow } from "./moderator.ts";
import type { PageCommand, PageState } from "./page_commands.ts";
import { commit, type Decision, refuse } from "./runtime/actor.ts";
import type { Refusal } from "./runtime/protocol.ts";

/** Moderators block for a time only, and lift only timed blocks. */
export function moderate(
  state: PageRow,
  command: Extract<PageCommand, { type: "block" | "unblock" }>,
  at: string,
): Decision<PageState> {
  const { role } = command.by;
  if (role === "user") return refuse("forbidden");
  if (command.type === "unblock") {
    if (role === "moderator" && state.blocked_until === "infinity") {
      return refuse("forbidden", "Only an administrator lifts a block for good");
    }
    const row = { id: state.id, at, ...byRow(command.by, command.reason) };
    return commit(unblockPage, row, () => ({ value: null, state: "drop" }));
  }
  const { until, reason, job } = command;
  if (role === "moderator" && (until === "infinity" || state.blocked_until === "infinity")) {
    return refuse("forbidden", "Only an administrator blocks for good");
  }
  if (command.dry_run) {
    return { type: "read", run: async (sql) => ({ state, value: await reachOfPageBlock(sql, state.id) }) };
  }
  return commit(
    blockPage,
    { id: state.id, until, job, at, ...byRow(command.by, reason) },
    () => ({ value: null, state: "drop" }),
  );
}

export function blockedPage(block: { reason: string | null; until: string | null }, owner: boolean): Refusal {
  if (!owner) return { code: "page-blocked" };
  const until = block.until === null ? "for good" : `until ${block.until}`;
  return { code: "page-blocked", detail: `The page is blocked ${until}: ${block.reason ?? "no reason given"}` };
}
