import type { SequencedEvent } from "../db/event.ts";
import { eventsAfter, sequencerState } from "../db/events.ts";
import type { Reader } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";

/** How long a write waits for this node's caches. After that, reads bypass them (`docs/limits.md`). */
const APPLIED_TIMEOUT_MS = 1_000;
/** Recent events kept in memory, for joining sockets and for `applied`. */
const RING = 8_192;
/** Events kept that arrived before their predecessors. Later ones are read from Postgres, as the missing ones are. */
export const MAX_EARLY_EVENTS = 8_192;
const BEAT_MS = 50;
/** How long an event waits for missing predecessors, or a caller for an event, before Postgres is read. */
const GAP_MS = 50;
/** Beats between reads of Postgres without a reason. A message lost between nodes costs this much time. */
const CATCH_UP_BEATS = 20;

/**
 * The node's single view of committed events: in order, each once. Batches may arrive twice, late or with gaps; gaps
 * are filled from Postgres. Events are consumed before any caller that waits for one resumes.
 */
export class EventStream implements AsyncDisposable {
  #position: number;
  #ring: SequencedEvent[] = [];
  /** Batches that arrived before their predecessors, by first sequence number. */
  #early = new Map<number, SequencedEvent[]>();
  #earlyEvents = 0;
  #earlySince = 0;
  #waiters: { seq: number; resolve: () => void; since: number }[] = [];
  #catchingUp: Promise<boolean> | undefined;
  #catchingUpNext: Promise<boolean> | undefined;
  #timer: ReturnType<typeof setInterval>;
  #beats = 0;
  #stalled = false;
  /** The highest number that was waited for. */
  #known = 0;
  #closed = false;

  private constructor(
    private readonly sql: Reader,
    private readonly log: Log,
    private readonly consume: (events: SequencedEvent[]) => void,
    /** The id of the database's history, part of every cursor. */
    readonly historyId: string,
    position: number,
  ) {
    this.#position = position;
    this.#timer = setInterval(() => this.#check(), BEAT_MS);
  }

  /** `consume` receives all events from here on (`consumers.ts`). */
  static async open(sql: Reader, log: Log, consume: (events: SequencedEvent[]) => void): Promise<EventStream> {
    const { epoch, seq } = await sequencerState(sql);
    return new EventStream(sql, log, consume, epoch, seq);
  }

  /** Everything up to here was consumed. */
  get position(): number {
    return this.#position;
  }

  /**
   * The last event that this node knows to be committed. After a wait timed out it is beyond the position. Who learns
   * of a commit from this node must wait for it.
   */
  get known(): number {
    return Math.max(this.#position, this.#known);
  }

  /** True after a wait timed out: caches may be stale, so reads bypass them. */
  get stalled(): boolean {
    return this.#stalled;
  }

  offer(events: readonly SequencedEvent[]): void {
    const fresh = events[0] && events[0].seq > this.#position
      ? events
      : events.filter((event) => event.seq > this.#position);
    if (fresh.length === 0 || this.#closed) return;
    if (fresh[0]!.seq !== this.#position + 1) return this.#keepEarly(fresh);
    this.#apply(fresh);
    if (this.#early.size > 0) this.#applyEarly();
  }

  /** Resolves when all events up to this one were consumed, or after a second; `stalled` is then set. */
  applied(seq: number): Promise<void> {
    if (seq <= this.#position) return Promise.resolve();
    if (seq > this.#known) this.#known = seq;
    return new Promise((resolve) => this.#waiters.push({ seq, resolve, since: Date.now() }));
  }

  /** The events after a position, if all of them are still in memory. */
  since(seq: number): SequencedEvent[] | undefined {
    if (seq >= this.#position) return [];
    const first = this.#ring[0];
    if (!first || first.seq > seq + 1) return undefined;
    return this.#ring.slice(seq + 1 - first.seq);
  }

  /** Why the events after this position cannot be read any more, if so. Rejects if Postgres does not answer. */
  async foreign(): Promise<string | undefined> {
    const { epoch, floor } = await sequencerState(this.sql);
    if (epoch !== this.historyId) return "The database was restored from a backup; this node stops";
    if (this.#position < floor) return "Events were deleted that this node does not have; this node stops";
  }

  /** Reads from Postgres everything committed before this call that was not offered. False if that failed. */
  catchUp(): Promise<boolean> {
    // A read in progress may have started before this call.
    if (this.#catchingUp) {
      return this.#catchingUpNext ??= this.#catchingUp.then(() => {
        this.#catchingUpNext = undefined;
        return this.#closed ? false : this.catchUp();
      });
    }
    const known = this.#known;
    return this.#catchingUp = this.#readOn().then(() => {
      // The caches now have everything that Postgres had when the read began.
      if (this.#known === known) this.#stalled = false;
      return !this.#closed;
    }, (error) => {
      if (!this.#closed) this.log.warnOften("event stream catch-up failed", {}, { error });
      return false;
    }).finally(() => this.#catchingUp = undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    await this.#catchingUp;
  }

  async #readOn(): Promise<void> {
    while (!this.#closed) {
      const events = await eventsAfter(this.sql, this.#position, 1_000);
      const next = events.filter((event) => event.seq > this.#position);
      if (next.length > 0) this.#apply(next);
      if (events.length < 1_000) return;
    }
  }

  #keepEarly(events: readonly SequencedEvent[]): void {
    if (this.#earlyEvents >= MAX_EARLY_EVENTS) return;
    if (this.#early.size === 0) this.#earlySince = Date.now();
    this.#forgetEarly(events[0]!.seq);
    this.#early.set(events[0]!.seq, [...events]);
    this.#earlyEvents += events.length;
  }

  #applyEarly(): void {
    for (let next = this.#early.get(this.#position + 1); next; next = this.#early.get(this.#position + 1)) {
      this.#apply(next);
    }
    for (const seq of this.#early.keys()) if (seq <= this.#position) this.#forgetEarly(seq);
  }

  #forgetEarly(seq: number): void {
    this.#earlyEvents -= this.#early.get(seq)?.length ?? 0;
    this.#early.delete(seq);
  }

  #apply(events: readonly SequencedEvent[]): void {
    this.#position = events.at(-1)!.seq;
    this.#ring.push(...events);
    if (this.#ring.length > RING * 2) this.#ring.splice(0, this.#ring.length - RING);
    this.consume(events as SequencedEvent[]);
    if (this.#stalled && this.#position >= this.#known) this.#stalled = false;
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (waiter.seq <= this.#position) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }

  /** Releases callers that waited too long, and reads Postgres if events seem to be missing. */
  #check(): void {
    const now = Date.now();
    const late = this.#waiters.filter(({ since }) => now - since >= APPLIED_TIMEOUT_MS);
    if (late.length > 0) {
      this.#waiters = this.#waiters.filter((waiter) => !late.includes(waiter));
      for (const { resolve } of late) resolve();
      if (!this.#stalled) this.log.warn("events delayed, bypassing caches");
      this.#stalled = true;
    }
    const isMissing = (this.#early.size > 0 && now - this.#earlySince >= GAP_MS) ||
      this.#waiters.some(({ since }) => now - since >= GAP_MS);
    if (!isMissing && !this.#stalled && ++this.#beats % CATCH_UP_BEATS !== 0) return;
    void this.catchUp().then(() => {
      this.#applyEarly();
      this.#earlySince = Date.now();
    });
  }
}
