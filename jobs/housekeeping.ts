import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { cropForgotten, dropFailedUploads } from "../db/files.ts";
import { forgetEvents, removeTombstones } from "../db/events.ts";
import { forgetDeliveries } from "../db/deliveries.ts";
import { forgetNotifications } from "../db/notifications.ts";
import { foldEvents } from "../db/page_days.ts";
import { sweepPairs } from "../db/kv.ts";
import { pruneOldHandles } from "../db/pages.ts";
import { deleteOldReceipts } from "../db/receipts.ts";
import { deleteExpiredSessions } from "../db/sessions.ts";
import { forgetNodes } from "../db/nodes.ts";
import { forgetTickets } from "../db/tickets.ts";
import { forgetSpellings, SPELLINGS_AT_ONCE } from "../db/search/spellings.ts";

const EVERY_MS = 60_000;
const EVENTS_AT_ONCE = 5_000;
const ROWS_AT_ONCE = 2_000;
/** How long people find what they were told, and how long the ledger of letters goes back (`docs/limits.md`). */
const NOTIFICATIONS_MS = 90 * 86_400_000;
const DELIVERIES_MS = 90 * 86_400_000;
const PAIRS_AT_ONCE = 5_000;
/** How long a photo that failed can be tried again (`docs/limits.md`). */
const FAILED_UPLOADS_MS = 7 * 86_400_000;

/** Forgets what is past keeping, in bounded bites. */
export function startHousekeeping(
  { sql, log, eventRetentionMs }: { sql: Sql; log: Log; eventRetentionMs: number },
): AsyncDisposable {
  let running = Promise.resolve();
  let closed = false;
  let spelling = { last: "", forgotten: 0 };
  const round = async () => {
    try {
      while (!closed && await foldEvents(sql, EVENTS_AT_ONCE) === EVENTS_AT_ONCE);
      while (!closed && await forgetEvents(sql, eventRetentionMs, EVENTS_AT_ONCE) === EVENTS_AT_ONCE);
      while (!closed && await sweepPairs(sql, PAIRS_AT_ONCE) === PAIRS_AT_ONCE);
      await removeTombstones(sql, eventRetentionMs);
      await deleteOldReceipts(sql);
      await pruneOldHandles(sql);
      await deleteExpiredSessions(sql);
      await forgetNodes(sql);
      await forgetTickets(sql);
      while (!closed && await forgetNotifications(sql, NOTIFICATIONS_MS, ROWS_AT_ONCE) === ROWS_AT_ONCE);
      while (!closed && await forgetDeliveries(sql, DELIVERIES_MS, ROWS_AT_ONCE) === ROWS_AT_ONCE);
      await cropForgotten(sql);
      await dropFailedUploads(sql, FAILED_UPLOADS_MS);
      // On at once where much is to be forgotten: somebody may be making up words.
      do spelling = await forgetSpellings(sql, spelling.last); while (
        !closed && spelling.forgotten > SPELLINGS_AT_ONCE / 10
      );
    } catch (error) {
      if (!closed) log.warn("housekeeping could not be done; trying again", { error });
    }
  };
  const timer = setInterval(() => running = running.then(round), EVERY_MS);
  return {
    async [Symbol.asyncDispose]() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}
