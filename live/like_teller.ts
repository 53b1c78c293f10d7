import type { SequencedEvent } from "../actors/runtime/protocol.ts";
import { tellLikes } from "../db/events.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../log.ts";

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
export class LikeTeller implements AsyncDisposable {
  #timer: ReturnType<typeof setInterval>;
  #running: Promise<void> | undefined;
  #hint = true;
  #idle = 0;

  constructor(
    private readonly sql: Sql,
    private readonly log: Log,
    private readonly committed: (events: SequencedEvent[]) => void,
  ) {
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** A like was committed. */
  hint(): void {
    this.#hint = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  #beat(): void {
    if (this.#running || (!this.#hint && ++this.#idle < IDLE_BEATS)) return;
    this.#hint = false;
    this.#idle = 0;
    this.#running = this.#tell().catch((error) => {
      this.#hint = true;
      this.log.warn("likes could not be told; trying again", { error });
    }).finally(() => this.#running = undefined);
  }

  async #tell(): Promise<void> {
    const events = await tellLikes(this.sql, MOST);
    if (events.length === MOST) this.#hint = true;
    if (events.length > 0) this.committed(events);
  }
}
