import { claimJobs, finishJob, type Job, nextJobInMs, returnJob } from "../db/jobs.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../log.ts";

/** Does one job. Throws to have it tried again, or `JobParked` to have it lie until somebody looks. */
export type JobHandler = (job: Job) => Promise<void>;

/** This job is not to be tried again by itself. */
export class JobParked extends Error {
  override readonly name = "JobParked";
  constructor(message: string, readonly state: "dead" | "unknown") {
    super(message);
  }
}

const AT_ONCE = 8;
const LEASE_MS = 60_000;
/** Then a job is `dead`; one that only tells an actor never is. */
export const MOST_TRIES = 12;
/** Without a signal the runner looks by itself, at most this much later than due. */
const SWEEP_MS = 1_000;

/**
 * Runs jobs of the kinds it has handlers for. Their truth is their row in Postgres: claimed under a lease, tried again with
 * growing, jittered pauses, parked in the end. Woken when a job is committed; a lost signal costs a second.
 */
export class JobRunner implements AsyncDisposable {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  private readonly kinds: readonly string[];

  constructor(
    private readonly sql: Sql,
    private readonly handlers: Readonly<Record<string, JobHandler>>,
    private readonly log: Log,
    private readonly mostTries = MOST_TRIES,
  ) {
    this.kinds = Object.keys(handlers);
    this.wake();
  }

  wake(): void {
    this.#again = true;
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again) this.wake();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    let pause: number | null = SWEEP_MS;
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        const jobs = await claimJobs(this.sql, this.kinds, AT_ONCE, LEASE_MS);
        if (jobs.length === AT_ONCE) this.#again = true;
        await Promise.all(jobs.map((job) => this.#do(job)));
      }
      if (!this.#closed) pause = await nextJobInMs(this.sql, this.kinds);
    } catch (error) {
      this.#again = false;
      if (!this.#closed) this.log.warn("jobs could not be looked at; trying again", { error });
    }
    if (this.#closed) return;
    this.#timer = setTimeout(() => this.wake(), Math.max(10, Math.min(SWEEP_MS, pause ?? SWEEP_MS)));
  }

  async #do(job: Job): Promise<void> {
    try {
      await this.handlers[job.kind]!(job);
      await finishJob(this.sql, job);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const state = error instanceof JobParked ? error.state : job.attempts >= this.mostTries ? "dead" : "waiting";
      const pause = Math.min(600_000, 500 * 2 ** job.attempts) * (0.5 + Math.random() / 2);
      this.log.warn("a job failed", { job: job.id, kind: job.kind, attempts: job.attempts, state, reason });
      await returnJob(this.sql, job, state, pause, reason).catch(() => {});
    }
  }
}
