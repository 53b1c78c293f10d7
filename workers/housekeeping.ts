import type { AppContext } from "../context.ts";
import { forgetEvents, removeTombstones } from "../db/events.ts";
import { deleteOldReceipts } from "../db/receipts.ts";
import { deleteExpiredSessions } from "../db/sessions.ts";

const EVERY_MS = 60_000;
const EVENTS_AT_ONCE = 5_000;

/** Forgets what is past keeping, in bounded bites. */
export function startHousekeeping(ctx: AppContext): AsyncDisposable {
  let running = Promise.resolve();
  let closed = false;
  const round = async () => {
    try {
      while (!closed && await forgetEvents(ctx.sql, ctx.config.EVENT_RETENTION, EVENTS_AT_ONCE) === EVENTS_AT_ONCE);
      await removeTombstones(ctx.sql, ctx.config.EVENT_RETENTION);
      await deleteOldReceipts(ctx.sql);
      await deleteExpiredSessions(ctx.sql);
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
