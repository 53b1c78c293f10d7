import type { Bus } from "../actors/runtime/bus.ts";
import type { SequencedEvent } from "../actors/runtime/protocol.ts";
import { sequence, signalLikes, takeSequencer } from "../db/events.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../log.ts";

/** Events numbered by one statement. */
const MOST = 1_000;
/** Likes of a post are told at most once in this time; a little over the promise of 250 ms. */
const LIKES_EVERY_MS = 260;
/** Without a signal, the sequencer looks by itself: a lost signal costs this much time. */
const SWEEP_MS = 500;

/**
 * The one leader that numbers committed events and tells of them. It is fenced by its term: a former leader numbers nothing.
 * Woken at each commit, with a sweep as a safety net.
 */
export class Sequencer implements AsyncDisposable {
  #timers: ReturnType<typeof setInterval>[] = [];
  #running: Promise<void> | undefined;
  #again = false;
  #likesAt = 0;
  #signalling = false;
  #closed = false;
  #leading = true;
  #likesWaiting = true;

  private constructor(
    private readonly sql: Sql,
    private readonly bus: Bus,
    private readonly log: Log,
    private readonly term: number,
    private readonly deliver: (events: SequencedEvent[]) => void,
  ) {
    this.#timers.push(setInterval(() => this.wake(), SWEEP_MS), setInterval(() => this.#signalLikes(), 20));
  }

  static async lead(
    sql: Sql,
    bus: Bus,
    log: Log,
    deliver: (events: SequencedEvent[]) => void,
  ): Promise<Sequencer> {
    const { term } = await takeSequencer(sql);
    return new Sequencer(sql, bus, log, term, deliver);
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** Something was committed. */
  wake(): void {
    this.#again = true;
    if (this.#closed || !this.#leading) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Woken between the last look and here.
      if (this.#again) this.wake();
    });
  }

  /** A like was committed: it is told at the next beat. */
  likes(): void {
    this.#likesWaiting = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        const events = await sequence(this.sql, this.term, MOST);
        if (events === null) {
          this.#leading = false;
          this.log.error("another node leads the sequencer now");
          return;
        }
        if (events.length === 0) continue;
        if (events.length === MOST) this.#again = true;
        this.deliver(events);
        this.#publish(events);
      } catch (error) {
        // The sweep tries again, so that a lost database is not asked without pause.
        this.#again = false;
        if (!this.#closed) this.log.warn("events could not be numbered; trying again", { error });
        return;
      }
    }
  }

  /** The bus is a doorbell: whoever misses it finds the events in the ledger. */
  #publish(events: SequencedEvent[]): void {
    void this.bus.publish("rookery.sequenced", JSON.stringify(events)).catch(() => {});
    void this.bus.append("events", String(events[0]!.pos), JSON.stringify(events)).catch(() => {});
  }

  async #signalLikes(): Promise<void> {
    const now = performance.now();
    if (!this.#leading || this.#closed || this.#signalling || now - this.#likesAt < LIKES_EVERY_MS) return;
    // Without a hint from this node, a look now and then: signals survive a crash.
    if (!this.#likesWaiting && now - this.#likesAt < 4 * LIKES_EVERY_MS) return;
    this.#signalling = true;
    this.#likesWaiting = false;
    try {
      const told = await signalLikes(this.sql, MOST);
      if (told === MOST) this.#likesWaiting = true;
      if (told > 0) this.wake();
      await this.#running;
    } catch (error) {
      this.#likesWaiting = true;
      if (!this.#closed) this.log.warn("likes could not be signalled; trying again", { error });
    } finally {
      // From when they were told, not from when that was asked for: a slow database must not bring two tellings together.
      this.#likesAt = performance.now();
      this.#signalling = false;
    }
  }
}
