import type { AppContext } from "../context.ts";
import { vacuum } from "../db/maintenance.ts";
import { cropForgotten, dropFailedUploads } from "../db/files.ts";
import { forgetEvents, removeTombstones } from "../db/events.ts";
import { sweepPairs } from "../db/kv.ts";
import { deleteOldReceipts } from "../db/receipts.ts";
import { deleteExpiredSessions } from "../db/sessions.ts";

const EVERY_MS = 60_000;
/** Rounds between cleanings of the embedded database; the first comes with the first round, when its tables are no longer empty. */
const VACUUM_ROUNDS = 10;
const EVENTS_AT_ONCE = 5_000;
const PAIRS_AT_ONCE = 5_000;
/** How long a photo that failed can be tried again (`docs/limits.md`). */
const FAILED_UPLOADS_MS = 7 * 86_400_000;

/** Forgets what is past keeping, in bounded bites. */
export function startHousekeeping(ctx: AppContext): AsyncDisposable {
  let running = Promise.resolve();
  let closed = false;
  let rounds = 0;
  const round = async () => {
    try {
      while (!closed && await forgetEvents(ctx.sql, ctx.config.EVENT_RETENTION, EVENTS_AT_ONCE) === EVENTS_AT_ONCE);
      while (!closed && await sweepPairs(ctx.sql, PAIRS_AT_ONCE) === PAIRS_AT_ONCE);
      await removeTombstones(ctx.sql, ctx.config.EVENT_RETENTION);
      await deleteOldReceipts(ctx.sql);
      await deleteExpiredSessions(ctx.sql);
      await cropForgotten(ctx.sql);
      await dropFailedUploads(ctx.sql, FAILED_UPLOADS_MS);
      if (ctx.config.DATABASE_URL === undefined && rounds++ % VACUUM_ROUNDS === 0) await vacuum(ctx.sql);
    } catch (error) {
      if (!closed) ctx.log.warn("housekeeping could not be done; trying again", { error });
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
