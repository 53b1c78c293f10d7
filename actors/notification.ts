import type { JobRef } from "../db/jobs.ts";
import { stepNotifications } from "../db/notification_step.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { nextDigest } from "./digest_time.ts";
import { Poller } from "../lib/poller.ts";
import type { EventKind, SequencedEvent } from "../db/event.ts";

export interface NotificationOptions {
  sql: Sql;
  log: Log;
  /** Interval of digests. */
  digestEveryMs: number;
  /** Events of its own were committed. */
  onCommitted: (events: SequencedEvent[]) => void;
  /** Jobs that are due now were committed. */
  onJobs: (jobs: readonly JobRef[]) => void;
}

/** Events per statement and the pause between two statements (`docs/limits.md`). */
const EVENT_BATCH = 500;
const PACE_MS = 100;
/** Events that may cause notifications. Others wait for the sweep. */
export const NOTIFYING_KINDS: ReadonlySet<EventKind> = new Set(
  ["follow.changed", "post.created", "post.updated", "post.deleted", "post.likes", "page.hidden", "page.shown"],
);
/** Events without a message are found after this time at most. */
const SWEEP_MS = 1_000;

/**
 * Reads all events in order and notifies people: in the app, and by email through jobs. Its position is stored with
 * what it writes, so any number of processes may run it and each event is handled once.
 */
export class Notification implements AsyncDisposable {
  readonly #work: Poller;

  constructor({ sql, log, digestEveryMs, onCommitted, onJobs }: NotificationOptions) {
    this.#work = new Poller({
      everyMs: SWEEP_MS,
      paceMs: PACE_MS,
      step: async () => {
        const { seen, events, jobs } = await stepNotifications(sql, EVENT_BATCH, nextDigest(Date.now(), digestEveryMs));
        if (events.length > 0) onCommitted(events);
        onJobs(jobs);
        return seen === EVENT_BATCH;
      },
      onFailure: (error) => log.warnOften("notification delivery failed, retrying", {}, { error }),
    });
  }

  /** These events were committed. */
  heard(events: readonly SequencedEvent[]): void {
    if (events.some(({ kind }) => NOTIFYING_KINDS.has(kind))) this.#work.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]();
  }
}
