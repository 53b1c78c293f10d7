import type { SequencedEvent } from "../../db/event.ts";
import { Notification } from "../../actors/notification.ts";
import type { Storage } from "../../services/storage/storage.ts";
import { FileSweeper } from "../../jobs/file_sweeper.ts";
import { JobRunner } from "../../jobs/runner.ts";
import { recountJobs } from "../../jobs/recounts.ts";
import { cropping, type JobParts, letters } from "./services.ts";

/** The role `jobs`, in a node or alone: notifications, emails, crops and file deletion, until the parts' stack ends. */
export async function startJobs(
  parts: JobParts & {
    storage: Storage;
    /** Events were committed here. */
    onCommitted: (events: SequencedEvent[]) => void;
  },
): Promise<{
  /** Receives committed events, in any order. */
  heard: (events: readonly SequencedEvent[]) => void;
}> {
  const { config, log, sql, stack, notifier, storage, onCommitted } = parts;
  const kinds = { ...await letters(parts), ...recountJobs(sql, onCommitted), ...await cropping(parts) };
  const runner = stack.use(new JobRunner(sql, kinds, log));
  await notifier.subscribe("jobs", (jobs) => runner.offer(jobs));
  stack.use(new FileSweeper(sql, storage, log));
  const notification = stack.use(
    new Notification({
      sql,
      log,
      digestEveryMs: config.DIGEST_EVERY,
      onCommitted,
      onJobs: (jobs) => notifier.notify(jobs),
    }),
  );
  return { heard: (events) => notification.heard(events) };
}
