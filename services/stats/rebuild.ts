import { daysAfter, holdDays, releaseDays } from "../../db/page_days.ts";
import { sequencerState } from "../../db/events.ts";
import type { Sql } from "../../db/sql.ts";
import type { PageDay } from "../../db/page_numbers.ts";
import type { Position, StatsStore } from "./store.ts";

/** Days per batch (`docs/limits.md`). */
const DAY_BATCH = 5_000;

/**
 * Rebuilds the statistics from the days that the main database keeps; later events are read from there. The old numbers
 * are served until the new ones replace them. With `instead`, they are replaced only if they are still at that position
 * (see `StatsStore.replace`). Throws if another rebuild changed the days meanwhile.
 */
export async function rebuild(store: StatsStore, ledger: Sql, instead?: Position | "nowhere"): Promise<Position> {
  const { epoch } = await sequencerState(ledger);
  const seq = await holdDays(ledger);
  const build = crypto.randomUUID();
  let days: PageDay[] = [];
  do {
    days = await daysAfter(ledger, days.at(-1), DAY_BATCH);
    if (days.length > 0) await store.prepare(build, days);
  } while (days.length === DAY_BATCH);
  if (await releaseDays(ledger) !== seq) throw new Error("The days changed while they were copied; try again");
  await store.replace(build, { epoch, seq }, instead);
  return { epoch, seq };
}
