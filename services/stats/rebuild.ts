import { daysAfter, holdDays, releaseDays } from "../../db/page_days.ts";
import { sequencerState } from "../../db/events.ts";
import type { Sql } from "../../db/sql.ts";
import type { PageDay } from "../../db/page_numbers.ts";
import type { Position, StatsStore } from "./store.ts";

/** Days copied at once (`docs/limits.md`). */
const AT_ONCE = 5_000;

/**
 * Builds the numbers anew out of what the main database keeps of the events it has forgotten; those after that are read on from
 * there. The old numbers are shown until the new ones take their place, which with `instead` they do only where those are still
 * there (see `StatsStore.replace`). Throws where another rebuild let the days move meanwhile.
 */
export async function rebuild(store: StatsStore, ledger: Sql, instead?: Position | "nowhere"): Promise<Position> {
  const { epoch } = await sequencerState(ledger);
  const seq = await holdDays(ledger);
  const build = crypto.randomUUID();
  let days: PageDay[] = [];
  do {
    days = await daysAfter(ledger, days.at(-1), AT_ONCE);
    if (days.length > 0) await store.prepare(build, days);
  } while (days.length === AT_ONCE);
  if (await releaseDays(ledger) !== seq) throw new Error("The days moved while they were copied; try again");
  await store.replace(build, { epoch, seq }, instead);
  return { epoch, seq };
}
