import { Buffer } from "node:buffer";

/**
 * Minimum interval in milliseconds between two counts of one post on one socket. It exceeds the promised 250 ms and
 * stays under the beat of `LikeEventEmitter`, so normal events are never held.
 */
export const PACE_MS = 255;
/** Posts remembered before old entries are first removed. */
const REMEMBERED = 16;

/** The clock of a throttle; tests use a fake one. */
export interface Clock {
  /** Milliseconds from a monotonic clock. */
  now(): number;
  /** Schedules a call; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
}

const CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

interface Held {
  text: string;
  paced: string | undefined;
  bytes: number;
}

/** A caller that waits until all frames before it are written. */
type Mark = () => void;

/**
 * Throttles counts of likes and replies on one socket. A frame that comes too early also holds the frames after it,
 * because a cursor promises that everything before it was sent. A held frame is dropped if a newer one of the same
 * count arrives. Nothing is held longer than `PACE_MS`.
 */
export class LikeThrottle {
  /** Time of the last send, by count. */
  #sentAt = new Map<string, number>();
  #forgetAt = REMEMBERED;
  /** In order; counts by their key. */
  #held = new Map<string | symbol, Held | Mark>();
  #heldBytes = 0;
  #wakesAt = 0;
  #cancel: (() => void) | undefined;

  constructor(private readonly write: (text: string) => void, private readonly clock: Clock = CLOCK) {}

  /** Whether frames are held, so that the next frame must wait behind them. */
  get holds(): boolean {
    return this.#held.size > 0;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Writes the frame as soon as it is due. `paced` is the key of the count it carries. */
  send(text: string, paced: string | undefined): void {
    if (!this.holds && this.#dueAt(paced) <= this.clock.now()) return this.#write(text, paced);
    const key = paced ?? Symbol();
    this.#drop(key);
    const bytes = Buffer.byteLength(text);
    this.#held.set(key, { text, paced, bytes });
    this.#heldBytes += bytes;
    // The dropped frame may have been what the others waited for.
    this.#flush();
  }

  /** Resolves when everything held now is written or dropped. */
  flushed(): Promise<void> {
    if (!this.holds) return Promise.resolve();
    return new Promise((resolve) => this.#held.set(Symbol(), resolve));
  }

  /** Drops everything held. */
  clear(): void {
    const marks = [...this.#held.values()].filter((held) => typeof held === "function");
    this.#held.clear();
    for (const reached of marks) reached();
    this.#heldBytes = 0;
    this.#sleep();
  }

  #flush(): void {
    for (const [key, held] of this.#held) {
      if (typeof held === "function") {
        this.#held.delete(key);
        held();
        continue;
      }
      const { text, paced } = held;
      const due = this.#dueAt(paced);
      if (due > this.clock.now()) return this.#wakeAt(due);
      this.#drop(key);
      this.#write(text, paced);
    }
    this.#sleep();
  }

  #write(text: string, paced: string | undefined): void {
    this.write(text);
    if (paced === undefined) return;
    // Read after the write, which may take time.
    const now = this.clock.now();
    this.#sentAt.set(paced, now);
    if (this.#sentAt.size > this.#forgetAt) this.#forget(now);
  }

  /** A full scan, rare enough to be cheap per frame. */
  #forget(now: number): void {
    for (const [post, at] of this.#sentAt) if (at + PACE_MS <= now) this.#sentAt.delete(post);
    this.#forgetAt = Math.max(REMEMBERED, this.#sentAt.size * 2);
  }

  #dueAt(paced: string | undefined): number {
    const at = paced === undefined ? undefined : this.#sentAt.get(paced);
    return at === undefined ? -Infinity : at + PACE_MS;
  }

  #drop(key: string | symbol): void {
    const held = this.#held.get(key);
    if (typeof held === "object") this.#heldBytes -= held.bytes;
    this.#held.delete(key);
  }

  #wakeAt(due: number): void {
    if (this.#cancel && this.#wakesAt === due) return;
    this.#sleep();
    this.#wakesAt = due;
    this.#cancel = this.clock.after(Math.ceil(due - this.clock.now()), () => {
      this.#cancel = undefined;
      this.#flush();
    });
  }

  #sleep(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
