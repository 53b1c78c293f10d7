import type { SequencedEvent } from "../db/event.ts";
import { RECOUNT_JOB, recountStep } from "../db/recounts.ts";
import type { Sql } from "../db/sql.ts";
import type { JobKind } from "./kind.ts";
import { JOB_KINDS } from "./kinds.ts";

/** People per statement (`docs/limits.md`). */
export const MAX_RECOUNTED = 500;

/** Updates unread counts after a page was hidden or shown again. `onCommitted` receives events committed here. */
export function recountJobs(sql: Sql, onCommitted: (events: SequencedEvent[]) => void): Record<string, JobKind> {
  return {
    [RECOUNT_JOB]: {
      ...JOB_KINDS[RECOUNT_JOB],
      run: async (job, signal) => {
        for (let seen = MAX_RECOUNTED; seen === MAX_RECOUNTED;) {
          // The next process that claims the job does the rest.
          signal.throwIfAborted();
          const step = await recountStep(sql, job, MAX_RECOUNTED);
          if (step.events.length > 0) onCommitted(step.events);
          seen = step.seen;
        }
      },
    },
  };
}
