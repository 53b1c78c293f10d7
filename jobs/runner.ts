import {
  claimDueJobs,
  claimJobs,
  finishJob,
  type Job,
  type JobRef,
  renewJob,
  returnJob,
  sweepJobs,
} from "../db/jobs.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { backoff } from "../lib/backoff.ts";
import { within } from "../lib/sleep.ts";

/** How jobs of one kind are done. */
export interface JobKind {
  /**
   * Throws to have it tried again, or `JobParked` to have it lie until somebody looks; `finished` says that its row went with its
   * effect. `signal`: this process is stopping.
   */
  run(job: Job, signal: AbortSignal): Promise<void | "finished">;
  /** How many of them this process does beside each other. */
  concurrency?: number;
  /** Then a job is `dead`. `Infinity` for what only tells an actor. */
  maxTries?: number;
}

/** This job is not to be tried again by itself. */
export class JobParked extends Error {
  override readonly name = "JobParked";
  constructor(message: string, readonly state: "dead" | "unknown") {
    super(message);
  }
}

const AT_ONCE = 8;
/** Over half a day, with the pauses below. */
const MAX_TRIES = 24;
const RETRY_BACKOFF = backoff({ firstMs: 1_000, maxMs: 3_600_000, jitter: [0.5, 1] });
/** A claim is renewed while its job runs; whoever died with it has lost it after this time. */
const LEASE_MS = 15_000;
const RENEW_MS = 5_000;
/** What no message told of is found so late at most. */
const SWEEP_MS = 1_000;
/** Jobs under way at a stop: what they get to end, and then to break off. */
const GRACE_MS = 2_000;
const ABORT_MS = 1_000;

/** Jobs of one kind. */
interface Lane {
  kind: JobKind;
  running: number;
  claiming: boolean;
  /** Told of by whoever committed them. */
  offered: string[];
  /** Whether more may be due than was offered. */
  more: boolean;
}

/**
 * Does jobs of some kinds. Their truth is their row in Postgres: claimed under a lease, tried again with growing, jittered
 * pauses, parked in the end. `offer` says which are due; what was not said, and what was left by whoever died, is found by a sweep.
 */
export class JobRunner implements AsyncDisposable {
  readonly #lanes: Map<string, Lane>;
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(
    private readonly sql: Sql,
    kinds: Readonly<Record<string, JobKind>>,
    private readonly log: Log,
  ) {
    this.#lanes = new Map(
      Object.entries(kinds).map((
        [name, kind],
      ) => [name, { kind, running: 0, claiming: false, offered: [], more: true }]),
    );
    for (const [name, lane] of this.#lanes) this.#pump(name, lane);
    this.#timer = setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  offer(refs: readonly JobRef[]): void {
    for (const { kind, id } of refs) {
      const lane = this.#lanes.get(kind);
      // Over what can be begun at once, those that are due longest go first.
      if (lane && lane.offered.length < room(lane)) lane.offered.push(id);
      else if (lane) lane.more = true;
    }
    for (const [name, lane] of this.#lanes) if (lane.more || lane.offered.length > 0) this.#pump(name, lane);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await within(GRACE_MS, allOf(this.#running));
    this.#stopping.abort();
    await within(ABORT_MS, allOf(this.#running));
  }

  #sweep(): void {
    this.#track(
      sweepJobs(this.sql, [...this.#lanes.keys()]).then((due) => {
        for (const name of due) {
          const lane = this.#lanes.get(name)!;
          lane.more = true;
          this.#pump(name, lane);
        }
      }).catch((error) => {
        if (!this.#closed) this.log.warn("jobs could not be looked at; trying again", { error });
      }).finally(() => {
        if (!this.#closed) this.#timer = setTimeout(() => this.#sweep(), SWEEP_MS);
      }),
    );
  }

  /** Claims what there is room for. */
  #pump(name: string, lane: Lane): void {
    const free = room(lane);
    if (this.#closed || lane.claiming || free <= 0 || (lane.offered.length === 0 && !lane.more)) return;
    // With much to do one claim takes several.
    if (lane.offered.length === 0 && lane.running > 3 * free) return;
    const ids = lane.offered.splice(0, free);
    const claim = ids.length > 0
      ? claimJobs(this.sql, name, ids, LEASE_MS)
      : claimDueJobs(this.sql, name, free, LEASE_MS);
    if (ids.length === 0) lane.more = false;
    lane.claiming = true;
    this.#track(
      claim.then((jobs) => {
        if (ids.length === 0 && jobs.length === free) lane.more = true;
        for (const job of jobs) {
          if (this.#closed) {
            this.#track(returnJob(this.sql, job, "waiting", 0, "the process was stopping", false).catch(() => {}));
            continue;
          }
          lane.running++;
          this.#track(
            this.#do(lane.kind, job).finally(() => {
              lane.running--;
              this.#pump(name, lane);
            }),
          );
        }
      }, (error) => {
        if (!this.#closed) this.log.warn("jobs could not be claimed; trying again", { kind: name, error });
      }).finally(() => {
        lane.claiming = false;
        this.#pump(name, lane);
      }),
    );
  }

  async #do({ run, maxTries = MAX_TRIES }: JobKind, job: Job): Promise<void> {
    const renewing = setInterval(() => void renewJob(this.sql, job, LEASE_MS).catch(() => {}), RENEW_MS);
    try {
      if (await run(job, this.#stopping.signal) !== "finished") await finishJob(this.sql, job);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const state = error instanceof JobParked ? error.state : job.attempts >= maxTries ? "dead" : "waiting";
      const { id, kind, attempts } = job;
      this.log.warn("a job failed", { job: id, kind, attempts, state, reason });
      await returnJob(this.sql, job, state, RETRY_BACKOFF(attempts), reason).catch(() => {});
    } finally {
      clearInterval(renewing);
    }
  }

  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }
}

function room({ kind, running }: Lane): number {
  return (kind.concurrency ?? AT_ONCE) - running;
}

/** Resolves when no work is left, what was begun meanwhile included. */
async function allOf(work: ReadonlySet<Promise<void>>): Promise<void> {
  while (work.size > 0) await Promise.allSettled(work);
}
