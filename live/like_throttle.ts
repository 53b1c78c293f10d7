import { Buffer } from "node:buffer";

/**
 * Likes of one post leave by one socket at least this many milliseconds apart: over the promise of 250 ms, and under the beat of
 * the teller of likes, so that its usual rhythm is never held up.
 */
export const PACE_MS = 255;
/** Posts remembered before the first look for those to forget. */
const REMEMBERED = 16;

/** What a pace measures time by; another one in tests. */
export interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Runs something later, unless what it returns is called before. */
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

/** Somebody who waits until all before them is written. */
type Mark = () => void;

/**
 * The pace of counts on one socket, as of a post's likes or replies. A frame that comes too soon holds the frames after it as well, since a cursor promises that all
 * before it was sent. A held one is dropped when a later one of the same count comes, which has the latest value and a later cursor.
 * Nothing is held for longer than the pace.
 */
export class LikeThrottle {
  /** By count, when it was sent last. */
  #sentAt = new Map<string, number>();
  #forgetAt = REMEMBERED;
  /** In order; frames of counts by what they count. */
  #held = new Map<string | symbol, Held | Mark>();
  #heldBytes = 0;
  #wakesAt = 0;
  #cancel: (() => void) | undefined;

  constructor(private readonly write: (text: string) => void, private readonly clock: Clock = CLOCK) {}

  /** Whether frames wait, so that a next one has to wait behind them. */
  get holds(): boolean {
    return this.#held.size > 0;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Writes the frame as soon as it is due; `paced` names the number it tells, as the likes of a post. */
  send(text: string, paced: string | undefined): void {
    if (!this.holds && this.#dueAt(paced) <= this.clock.now()) return this.#write(text, paced);
    const key = paced ?? Symbol();
    this.#drop(key);
    const bytes = Buffer.byteLength(text);
    this.#held.set(key, { text, paced, bytes });
    this.#heldBytes += bytes;
    // What was dropped may have been all that the others waited for.
    this.#flush();
  }

  /** Resolves when what is held now is written or dropped. */
  flushed(): Promise<void> {
    if (!this.holds) return Promise.resolve();
    return new Promise((resolve) => this.#held.set(Symbol(), resolve));
  }

  /** Drops what is held. */
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
    // After the write, which may take its time: the next one is measured from the end of this one.
    const now = this.clock.now();
    this.#sentAt.set(paced, now);
    if (this.#sentAt.size > this.#forgetAt) this.#forget(now);
  }

  /** A look at all of them, rare enough to cost nothing for each. */
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
