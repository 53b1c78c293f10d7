import { claimJobs, requeueJobs, unnotifiedJobs } from "../db/jobs.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { Poller } from "../lib/poller.ts";
import { attempt, DEFAULT_CONCURRENCY, giveBack, LEASE_MS } from "./attempt.ts";
import type { JobKind } from "./kind.ts";

/** Interval of checks for due jobs without a notification. An id lost by the queue is pushed again after this time. */
const SWEEP_MS = 1_000;
const NOTIFY_AGAIN_MS = 20_000;
const NOTIFY_BATCH = 500;

interface QueuedJobsOptions {
  sql: Sql;
  log: Log;
  name: string;
  kind: JobKind & Required<Pick<JobKind, "queue">>;
  /** Aborts jobs in progress. */
  signal: AbortSignal;
}

/** The jobs of one kind with a queue: ids of due jobs are pushed, and received ids are claimed and run. */
export class QueuedJobs implements AsyncDisposable {
  readonly #consumer: AsyncDisposable;
  readonly #feeder: Poller;

  constructor(private readonly options: QueuedJobsOptions) {
    const { kind: { queue, concurrency = DEFAULT_CONCURRENCY }, name, log } = options;
    this.#consumer = queue.consume((id) => this.#take(id), concurrency);
    this.#feeder = new Poller({
      everyMs: SWEEP_MS,
      step: () => this.#feed(),
      onFailure: (error) => log.warnOften("looking for due jobs failed, retrying", { kind: name }, { error }),
    });
  }

  /** Jobs that are due now were committed. */
  wake(): void {
    this.#feeder.wake();
  }

  /** Stops taking jobs and waits for those in progress. */
  async [Symbol.asyncDispose](): Promise<void> {
    const fed = this.#feeder[Symbol.asyncDispose]();
    await this.#consumer[Symbol.asyncDispose]();
    await fed;
  }

  async #feed(): Promise<boolean> {
    const { sql, name, kind: { queue } } = this.options;
    const ids = await unnotifiedJobs(sql, name, NOTIFY_BATCH, NOTIFY_AGAIN_MS);
    if (ids.length > 0 && !await queue.push(ids)) {
      // The next sweep tries again.
      await requeueJobs(sql, name, ids);
      return false;
    }
    return ids.length === NOTIFY_BATCH;
  }

  /** The second delivery of an id finds nothing to claim. */
  async #take(id: string): Promise<void> {
    const { sql, log, name, kind, signal } = this.options;
    const jobs = await claimJobs(sql, name, [id], LEASE_MS).catch((error) => {
      if (!this.#feeder.closed) log.warnOften("claiming jobs failed, retrying", { kind: name }, { error });
      return [];
    });
    for (const job of jobs) {
      if (this.#feeder.closed) await giveBack(sql, job);
      else await attempt({ sql, log }, kind, job, signal);
    }
  }
}
