import type { SequencedEvent } from "../actors/runtime/protocol.ts";
import { eventsAfter, sequencerState } from "../db/events.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../log.ts";

/** How long a write waits at most until this node's caches know it; then they are bypassed (`docs/limits.md`). */
const APPLIED_TIMEOUT_MS = 1_000;
/** Recent events kept, for joiners and for those who ask whether one was applied. */
const RING = 8_192;
const BEAT_MS = 250;
/** Beats between looks into the ledger without a reason: a lost message of another node costs this much time. */
const CATCH_UP_BEATS = 4;

/**
 * The node's one view of committed events: in order, each once. Batches may be offered doubled, delayed or with holes in
 * between; a hole is filled from Postgres, which is the ledger. Consumers are called in the order they were added, before
 * anybody who waited for the event goes on.
 */
export class EventStream implements AsyncDisposable {
  #position: number;
  #ring: SequencedEvent[] = [];
  #recent = new Set<number>();
  #waiters = new Map<number, { resolve: () => void; since: number }[]>();
  #consumers: ((events: SequencedEvent[]) => void)[] = [];
  #catchingUp: Promise<void> | undefined;
  #timer: ReturnType<typeof setInterval>;
  #beats = 0;
  #stalled = false;
  #closed = false;

  private constructor(
    private readonly sql: Sql,
    private readonly log: Log,
    /** The history this database tells; part of every cursor. */
    readonly epoch: string,
    position: number,
  ) {
    this.#position = position;
    this.#timer = setInterval(() => this.#check(), BEAT_MS);
  }

  static async open(sql: Sql, log: Log): Promise<EventStream> {
    const { epoch, seq } = await sequencerState(sql);
    return new EventStream(sql, log, epoch, seq);
  }

  /** Everything up to here was given to the consumers. */
  get position(): number {
    return this.#position;
  }

  /** True while a write waited in vain: caches may be behind, so reads go past them. */
  get stalled(): boolean {
    return this.#stalled;
  }

  consume(consumer: (events: SequencedEvent[]) => void): void {
    this.#consumers.push(consumer);
  }

  offer(events: readonly SequencedEvent[]): void {
    const fresh = events.filter((event) => event.seq > this.#position);
    if (fresh.length === 0 || this.#closed) return;
    if (fresh[0]!.seq !== this.#position + 1) return void this.catchUp();
    this.#apply(fresh);
  }

  /** Resolves when the event of this id was given to the consumers, or after a second, from when on `stalled` says so. */
  applied(pos: number): Promise<void> {
    if (this.#recent.has(pos)) return Promise.resolve();
    return new Promise((resolve) => {
      const waiter = { resolve, since: Date.now() };
      const waiters = this.#waiters.get(pos);
      if (waiters) waiters.push(waiter);
      else this.#waiters.set(pos, [waiter]);
    });
  }

  /** The events after a position, if they are all still at hand. */
  since(seq: number): SequencedEvent[] | undefined {
    if (seq >= this.#position) return [];
    const first = this.#ring[0];
    if (!first || first.seq > seq + 1) return undefined;
    return this.#ring.slice(seq + 1 - first.seq);
  }

  /** Reads from Postgres what was not offered. */
  catchUp(): Promise<void> {
    return this.#catchingUp ??= this.#readOn().catch((error) => {
      if (!this.#closed) this.log.warn("the event stream could not catch up yet", { error });
    }).finally(() => this.#catchingUp = undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const waiters of this.#waiters.values()) for (const { resolve } of waiters) resolve();
    this.#waiters.clear();
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

  #apply(events: SequencedEvent[]): void {
    this.#position = events.at(-1)!.seq;
    for (const event of events) {
      this.#ring.push(event);
      this.#recent.add(event.pos);
    }
    if (this.#ring.length > RING * 2) {
      for (const old of this.#ring.splice(0, this.#ring.length - RING)) this.#recent.delete(old.pos);
    }
    for (const consume of this.#consumers) consume(events);
    if (this.#waiters.size === 0) return;
    for (const { pos } of events) {
      const waiters = this.#waiters.get(pos);
      if (!waiters) continue;
      this.#waiters.delete(pos);
      for (const { resolve } of waiters) resolve();
    }
    if (this.#stalled && this.#waiters.size === 0) this.#stalled = false;
  }

  /** Lets go of those who waited too long, and looks into the ledger itself when somebody waits at all. */
  #check(): void {
    const now = Date.now();
    let late = false;
    for (const [pos, waiters] of this.#waiters) {
      if (now - waiters[0]!.since < APPLIED_TIMEOUT_MS) continue;
      late = true;
      this.#waiters.delete(pos);
      for (const { resolve } of waiters) resolve();
    }
    if (late && !this.#stalled) {
      this.#stalled = true;
      this.log.warn("committed events are not numbered in time; caches are bypassed");
    }
    if (late || this.#stalled || ++this.#beats % CATCH_UP_BEATS === 0) {
      void this.catchUp().then(() => this.#recovered());
    }
  }

  /** A stall is over when the ledger has nothing unnumbered that anybody waits for. */
  async #recovered(): Promise<void> {
    if (!this.#stalled || this.#closed) return;
    const [row] = await this.sql.query<{ open: boolean }>(
      "select exists (select from events where seq is null) as open",
    )
      .catch(() => [{ open: true }]);
    if (row && !row.open) this.#stalled = false;
  }
}
