import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { cropForgotten, pruneFailedUploads } from "../db/files.ts";
import { pruneEvents, pruneTombstones } from "../db/events.ts";
import { pruneDeliveries } from "../db/deliveries.ts";
import { pruneNotifications } from "../db/notifications.ts";
import { foldEvents } from "../db/page_days.ts";
import { prunePairs } from "../db/kv.ts";
import { pruneOldHandles } from "../db/pages.ts";
import { pruneReceipts } from "../db/receipts.ts";
import { pruneSessions } from "../db/sessions.ts";
import { pruneNodes } from "../db/nodes.ts";
import { pruneTickets } from "../db/tickets.ts";
import { pruneSpellings, SPELLING_BATCH } from "../db/search/spellings.ts";

const EVERY_MS = 60_000;
const EVENT_BATCH = 5_000;
const ROW_BATCH = 2_000;
/** Retention of notifications and of the record of deliveries (`docs/limits.md`). */
const NOTIFICATIONS_MS = 90 * 86_400_000;
const DELIVERIES_MS = 90 * 86_400_000;
const PAIR_BATCH = 5_000;
/** How long a failed photo can be retried (`docs/limits.md`). */
const FAILED_UPLOADS_MS = 7 * 86_400_000;

export interface HousekeepingOptions {
  sql: Sql;
  log: Log;
  eventRetentionMs: number;
  /** Whether this node does it now. Two at once would only wait for each other. */
  isMine: () => boolean;
  everyMs?: number | undefined;
}

/** Deletes expired data in bounded batches. */
export function startHousekeeping(
  { sql, log, eventRetentionMs, isMine, everyMs = EVERY_MS }: HousekeepingOptions,
): AsyncDisposable {
  let running = Promise.resolve();
  let closed = false;
  let spelling = { last: "", deleted: 0 };
  const round = async () => {
    if (!isMine()) return;
    try {
      while (!closed && await foldEvents(sql, EVENT_BATCH) === EVENT_BATCH);
      while (!closed && await pruneEvents(sql, eventRetentionMs, EVENT_BATCH) === EVENT_BATCH);
      while (!closed && await prunePairs(sql, PAIR_BATCH) === PAIR_BATCH);
      await pruneTombstones(sql, eventRetentionMs);
      await pruneReceipts(sql);
      await pruneOldHandles(sql);
      await pruneSessions(sql);
      await pruneNodes(sql);
      await pruneTickets(sql);
      while (!closed && await pruneNotifications(sql, NOTIFICATIONS_MS, ROW_BATCH) === ROW_BATCH);
      while (!closed && await pruneDeliveries(sql, DELIVERIES_MS, ROW_BATCH) === ROW_BATCH);
      await cropForgotten(sql);
      await pruneFailedUploads(sql, FAILED_UPLOADS_MS);
      // No pause while there is more to delete, because a client may add words quickly.
      do spelling = await pruneSpellings(sql, spelling.last); while (
        !closed && spelling.deleted > SPELLING_BATCH / 10
      );
    } catch (error) {
      if (!closed) log.warn("housekeeping failed, retrying", { error });
    }
  };
  const timer = setInterval(() => running = running.then(round), everyMs);
  return {
    async [Symbol.asyncDispose]() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}
