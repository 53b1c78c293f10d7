import type { SequencedEvent } from "../db/event.ts";
import { emitLikeEvents } from "../db/events.ts";
import type { Grant } from "../db/partitions.ts";
import type { Writer } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";

/** Minimum interval between two `post.likes` events of a post. Slightly over the promised 250 ms. */
const BEAT_MS = 260;
/** Beats between checks without a hint. Signals left by a crash wait this long. */
const IDLE_BEATS = 4;
/** Posts per statement. */
const MAX_POSTS = 1_000;

/**
 * Emits at most one event per post and beat for any number of likes. The count is read when the event is sent. One node
 * emits at a time. Pending events are stored in Postgres with the likes, so a crash delays them and loses none.
 */
export class LikeEventEmitter implements AsyncDisposable {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #running: Promise<void> | undefined;
  #hint = true;
  #idle = 0;

  /** `grant`: the partition that allows this node to emit; undefined while another node has it. */
  constructor(
    private readonly sql: Writer,
    private readonly log: Log,
    private readonly grant: () => Grant | undefined,
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

  /** A beat starts when the previous one ended, so a slow database never runs two at once. */
  #wait(): void {
    if (!this.#closed) this.#timer = setTimeout(() => this.#beat(), BEAT_MS);
  }

  #beat(): void {
    if (!this.#hint && ++this.#idle < IDLE_BEATS) return this.#wait();
    this.#hint = false;
    this.#idle = 0;
    this.#running = this.#emit().catch((error) => {
      this.#hint = true;
      this.log.warnOften("like events failed, retrying", {}, { error });
    }).finally(() => this.#wait());
  }

  async #emit(): Promise<void> {
    const grant = this.grant();
    if (!grant) return;
    const events = await emitLikeEvents(this.sql, grant, MAX_POSTS);
    if (events.length === MAX_POSTS) this.#hint = true;
    if (events.length > 0) this.committed(events);
  }
}
