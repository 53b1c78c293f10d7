import type { Job } from "../db/jobs.ts";
import type { Backoff } from "../lib/backoff.ts";
import type { JobQueue } from "./queue/queue.ts";

/** How jobs of one kind run. */
export interface JobKind {
  /**
   * Throws to retry, `JobPostponed` if the attempt does not count, or `JobParked` to park the job until an operator
   * acts. `finished` means that its row was deleted with its effect. `signal`: this process is stopping.
   */
  run(job: Job, signal: AbortSignal): Promise<void | "finished">;
  /** Concurrent jobs of this kind per process. */
  concurrency?: number;
  /** Attempts before a job is `dead`. `Infinity` for jobs that only send a command to an actor. */
  maxTries?: number;
  /** Pauses between attempts. */
  backoff?: Backoff;
  /** Delivers ids of due jobs to any free process. Without a queue each process claims due jobs as it has room. */
  queue?: Pick<JobQueue, "push" | "consume">;
}

/** The job must not be retried automatically. */
export class JobParked extends Error {
  override readonly name = "JobParked";
  constructor(message: string, readonly state: "dead" | "unknown") {
    super(message);
  }
}

/** The attempt does not count. */
export class JobPostponed extends Error {
  override readonly name = "JobPostponed";
  constructor(message: string, readonly pauseMs: number) {
    super(message);
  }
}
