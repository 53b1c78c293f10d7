import type { SequencedEvent } from "../db/event.ts";
import { emitLikeEvents } from "../db/events.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";

/** Likes of a post are told at most once in this time; a little over the promise of 250 ms. */
const BEAT_MS = 260;
/** Beats between looks without a hint: signals that a crash left behind wait this long. */
const IDLE_BEATS = 4;
/** Posts told of by one statement. */
const MOST = 1_000;

/**
 * Tells of likes: however many there are, a post gets one event a beat, and its count is read when that is shown. What is to be
 * told is kept in Postgres with the likes themselves, so a crash delays it and loses nothing.
 */
export class LikeEventEmitter implements AsyncDisposable {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #running: Promise<void> | undefined;
  #hint = true;
  #idle = 0;

  constructor(
    private readonly sql: Sql,
    private readonly log: Log,
    private readonly committed: (events: SequencedEvent[]) => void,
  ) {
    this.#wait();
  }

  /** A like was committed. */
  hint(): void {
    this.#hint = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** A beat is counted from the end of the last telling: a slow database must not bring two of them together. */
  #wait(): void {
    if (!this.#closed) this.#timer = setTimeout(() => this.#beat(), BEAT_MS);
  }

  #beat(): void {
    if (!this.#hint && ++this.#idle < IDLE_BEATS) return this.#wait();
    this.#hint = false;
    this.#idle = 0;
    this.#running = this.#tell().catch((error) => {
      this.#hint = true;
      this.log.warn("likes could not be told; trying again", { error });
    }).finally(() => this.#wait());
  }

  async #tell(): Promise<void> {
    const events = await emitLikeEvents(this.sql, MOST);
    if (events.length === MOST) this.#hint = true;
    if (events.length > 0) this.committed(events);
  }
}
