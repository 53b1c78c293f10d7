import type { Job } from "../db/jobs.ts";
import type { Backoff } from "../lib/backoff.ts";
import type { JobQueue } from "./queue/queue.ts";

/** How jobs of one kind are done. */
export interface JobKind {
  /**
   * Throws to have it tried again, `JobPostponed` where the attempt does not count, or `JobParked` to have it lie until somebody looks.
   * `finished` says that its row went with its effect. `signal`: this process is stopping.
   */
  run(job: Job, signal: AbortSignal): Promise<void | "finished">;
  /** How many of them this process does beside each other. */
  concurrency?: number;
  /** Then a job is `dead`. `Infinity` for what only tells an actor. */
  maxTries?: number;
  /** The pauses between attempts. */
  backoff?: Backoff;
  /** Brings the ids of due jobs to whichever process is free. Without it each process claims what is due as it has room. */
  queue?: Pick<JobQueue, "push" | "consume">;
}

/** This job is not to be tried again by itself. */
export class JobParked extends Error {
  override readonly name = "JobParked";
  constructor(message: string, readonly state: "dead" | "unknown") {
    super(message);
  }
}

/** This attempt says nothing of the job, and does not count. */
export class JobPostponed extends Error {
  override readonly name = "JobPostponed";
  constructor(message: string, readonly pauseMs: number) {
    super(message);
  }
}
