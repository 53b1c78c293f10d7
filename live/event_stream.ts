import type { SequencedEvent } from "../db/event.ts";
import { eventsAfter, sequencerState } from "../db/events.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";

/** How long a write waits at most until this node's caches know it; then they are bypassed (`docs/limits.md`). */
const APPLIED_TIMEOUT_MS = 1_000;
/** Recent events kept, for joiners and for those who ask whether one was applied. */
const RING = 8_192;
const BEAT_MS = 50;
/** How long an event waits for those before it to be offered, until they are read from the ledger. */
const GAP_MS = 50;
/** Beats between looks into the ledger without a reason: a lost message of another node costs this much time. */
const CATCH_UP_BEATS = 20;

/**
 * The node's one view of committed events: in order, each once. Batches may be offered doubled, delayed or with holes in
 * between; a hole is filled from Postgres, which is the ledger. They are consumed before anybody who waited for one goes on.
 */
export class EventStream implements AsyncDisposable {
  #position: number;
  #ring: SequencedEvent[] = [];
  /** Batches that came before those they follow, by their first number. */
  #early = new Map<number, SequencedEvent[]>();
  #earlySince = 0;
  #waiters: { seq: number; resolve: () => void; since: number }[] = [];
  #catchingUp: Promise<void> | undefined;
  #catchingUpNext: Promise<void> | undefined;
  #timer: ReturnType<typeof setInterval>;
  #beats = 0;
  #stalled = false;
  #closed = false;

  private constructor(
    private readonly sql: Sql,
    private readonly log: Log,
    private readonly consume: (events: SequencedEvent[]) => void,
    /** The history this database tells; part of every cursor. */
    readonly historyId: string,
    position: number,
  ) {
    this.#position = position;
    this.#timer = setInterval(() => this.#check(), BEAT_MS);
  }

  /** `consume` is given all events from here on (`consumers.ts`). */
  static async open(sql: Sql, log: Log, consume: (events: SequencedEvent[]) => void): Promise<EventStream> {
    const { epoch, seq } = await sequencerState(sql);
    return new EventStream(sql, log, consume, epoch, seq);
  }

  /** Everything up to here was consumed. */
  get position(): number {
    return this.#position;
  }

  /** True while a write waited in vain: caches may be behind, so reads go past them. */
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

  /** Resolves when all events up to this one were consumed, or after a second, from when on `stalled` says so. */
  applied(seq: number): Promise<void> {
    if (seq <= this.#position) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ seq, resolve, since: Date.now() }));
  }

  /** The events after a position, if they are all still at hand. */
  since(seq: number): SequencedEvent[] | undefined {
    if (seq >= this.#position) return [];
    const first = this.#ring[0];
    if (!first || first.seq > seq + 1) return undefined;
    return this.#ring.slice(seq + 1 - first.seq);
  }

  /** Reads from Postgres what was not offered: all that was committed before this call. */
  catchUp(): Promise<void> {
    // One that is under way may have read before that.
    if (this.#catchingUp) {
      return this.#catchingUpNext ??= this.#catchingUp.then(() => {
        this.#catchingUpNext = undefined;
        return this.#closed ? undefined : this.catchUp();
      });
    }
    return this.#catchingUp = this.#readOn().then(() => {
      // What the ledger has is known now.
      this.#stalled = false;
    }, (error) => {
      if (!this.#closed) this.log.warn("the event stream could not catch up yet", { error });
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
    if (this.#early.size === 0) this.#earlySince = Date.now();
    this.#early.set(events[0]!.seq, [...events]);
  }

  #applyEarly(): void {
    for (let next = this.#early.get(this.#position + 1); next; next = this.#early.get(this.#position + 1)) {
      this.#apply(next);
    }
    for (const seq of this.#early.keys()) if (seq <= this.#position) this.#early.delete(seq);
  }

  #apply(events: readonly SequencedEvent[]): void {
    this.#position = events.at(-1)!.seq;
    this.#ring.push(...events);
    if (this.#ring.length > RING * 2) this.#ring.splice(0, this.#ring.length - RING);
    this.consume(events as SequencedEvent[]);
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (waiter.seq <= this.#position) waiter.resolve();
      else this.#waiters.push(waiter);
    }
    if (this.#stalled && this.#waiters.length === 0) this.#stalled = false;
  }

  /** Lets go of those who waited too long, and looks into the ledger where something seems to be missing. */
  #check(): void {
    const now = Date.now();
    const late = this.#waiters.filter(({ since }) => now - since >= APPLIED_TIMEOUT_MS);
    if (late.length > 0) {
      this.#waiters = this.#waiters.filter((waiter) => !late.includes(waiter));
      for (const { resolve } of late) resolve();
      if (!this.#stalled) this.log.warn("committed events are not known in time; caches are bypassed");
      this.#stalled = true;
    }
    const gap = this.#early.size > 0 && now - this.#earlySince >= GAP_MS;
    if (!gap && !this.#stalled && ++this.#beats % CATCH_UP_BEATS !== 0) return;
    void this.catchUp().then(() => {
      this.#applyEarly();
      this.#earlySince = Date.now();
    });
  }
}
