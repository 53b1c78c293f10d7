import { claimDueJobs, claimJobs, type JobRef, sweepJobs } from "../db/jobs.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { apart } from "../lib/tracing.ts";
import { within } from "../lib/sleep.ts";
import { attempt, DEFAULT_CONCURRENCY, giveBack, LEASE_MS } from "./attempt.ts";
import type { JobKind } from "./kind.ts";
import { QueuedJobs } from "./queued_jobs.ts";

/** Jobs without a notification are found after this time at most. */
const SWEEP_MS = 1_000;
/** How long running jobs get at a stop to finish, and then to abort. */
const GRACE_MS = 2_000;
const ABORT_MS = 1_000;

/** Jobs of one kind without a queue. */
interface Lane {
  kind: JobKind;
  running: number;
  claiming: boolean;
  /** Announced when they were committed. */
  offered: string[];
  /** Whether more jobs may be due than were announced. */
  more: boolean;
}

/**
 * Runs jobs of several kinds. A job is a row in Postgres: claimed under a lease, retried with growing random pauses,
 * and parked after the last attempt. `offer` announces due jobs; a sweep finds those that were not announced or were
 * left by a crash. Kinds with a queue get their jobs through it and are otherwise the same.
 */
export class JobRunner implements AsyncDisposable {
  readonly #lanes = new Map<string, Lane>();
  readonly #queued = new Map<string, QueuedJobs>();
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(
    private readonly sql: Sql,
    kinds: Readonly<Record<string, JobKind>>,
    private readonly log: Log,
  ) {
    const signal = this.#stopping.signal;
    for (const [name, { queue, ...kind }] of Object.entries(kinds)) {
      if (queue) this.#queued.set(name, new QueuedJobs({ sql, log, name, kind: { ...kind, queue }, signal }));
      else this.#lanes.set(name, { kind, running: 0, claiming: false, offered: [], more: true });
    }
    for (const [name, lane] of this.#lanes) this.#pump(name, lane);
    this.#timer = setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  offer(refs: readonly JobRef[]): void {
    // A job does not run in the context of the request that committed it.
    apart(() => this.#offer(refs));
  }

  #offer(refs: readonly JobRef[]): void {
    for (const name of new Set(refs.map(({ kind }) => kind))) this.#queued.get(name)?.wake();
    for (const { kind, id } of refs) {
      const lane = this.#lanes.get(kind);
      // Beyond the capacity, jobs that are due longest go first.
      if (lane && lane.offered.length < room(lane)) lane.offered.push(id);
      else if (lane) lane.more = true;
    }
    for (const [name, lane] of this.#lanes) if (lane.more || lane.offered.length > 0) this.#pump(name, lane);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const queued = Promise.all([...this.#queued.values()].map((jobs) => jobs[Symbol.asyncDispose]()));
    await within(GRACE_MS, Promise.all([queued, allOf(this.#running)]));
    this.#stopping.abort();
    await Promise.all([queued, within(ABORT_MS, allOf(this.#running))]);
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
        if (!this.#closed) this.log.warnOften("looking for due jobs failed, retrying", {}, { error });
      }).finally(() => {
        if (!this.#closed) this.#timer = setTimeout(() => this.#sweep(), SWEEP_MS);
      }),
    );
  }

  /** Claims as many jobs as there is room for. */
  #pump(name: string, lane: Lane): void {
    const free = room(lane);
    if (this.#closed || lane.claiming || free <= 0 || (lane.offered.length === 0 && !lane.more)) return;
    // Under load one claim takes several jobs.
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
            this.#track(giveBack(this.sql, job));
            continue;
          }
          lane.running++;
          this.#track(
            attempt({ sql: this.sql, log: this.log }, lane.kind, job, this.#stopping.signal).finally(() => {
              lane.running--;
              this.#pump(name, lane);
            }),
          );
        }
      }, (error) => {
        if (!this.#closed) this.log.warnOften("claiming jobs failed, retrying", { kind: name }, { error });
      }).finally(() => {
        lane.claiming = false;
        this.#pump(name, lane);
      }),
    );
  }

  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }
}

function room({ kind, running }: Lane): number {
  return (kind.concurrency ?? DEFAULT_CONCURRENCY) - running;
}

/** Resolves when no work is left, including work started meanwhile. */
async function allOf(work: ReadonlySet<Promise<void>>): Promise<void> {
  while (work.size > 0) await Promise.allSettled(work);
}
