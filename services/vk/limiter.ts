import { type Cache, CacheUnavailable } from "../../lib/cache/cache.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { sleep } from "../../lib/sleep.ts";

/** Too many calls wait for this token. */
export class TooBusy extends Error {
  override readonly name = "TooBusy";
}

export interface LimiterOptions {
  /** Calls per window. */
  calls?: number;
  windowMs?: number;
  /** How long a call waits for its turn. */
  waitMs?: number;
}

/**
 * VK allows three calls a second for a token of a user or an app. The window is slightly longer than VK's, since the
 * network delay varies (`docs/limits.md`).
 */
const CALLS = 3;
const WINDOW_MS = 1_100;
const WAIT_MS = 5_000;
/** Tokens that this process counts itself while the cache is unavailable. */
const MAX_ALONE = 10_000;
/** Time after a failure of the cache until it is used again. */
const ALONE_MS = 1_000;

/** The daily quota of a method is used up, or its calls were too similar. */
export type RestReason = "quota" | "flood";

interface Queue {
  /** The end of the previous turn. */
  last: Promise<unknown>;
  waiting: number;
}

/**
 * Lets calls of a token through at the rate that VK allows, counted over all nodes in fixed windows. Others wait in
 * order. If the cache fails, each process counts by itself: VK refuses excess calls, and they are repeated. Tokens are
 * identified by a keyed hash, the `holder`.
 */
export class CallLimiter implements AsyncDisposable {
  #queues = new Map<string, Queue>();
  #alone = new MemoryCache(MAX_ALONE);
  #aloneUntil = 0;
  private readonly calls: number;
  private readonly windowMs: number;
  private readonly waitMs: number;

  constructor(
    private readonly cache: Cache,
    { calls = CALLS, windowMs = WINDOW_MS, waitMs = WAIT_MS }: LimiterOptions = {},
  ) {
    this.calls = calls;
    this.windowMs = windowMs;
    this.waitMs = waitMs;
  }

  /** Resolves when one more call may be sent. Throws `TooBusy` if it would have to wait too long, or past `until`. */
  async take(holder: string, until = Infinity): Promise<void> {
    const deadline = Math.min(Date.now() + this.waitMs, until);
    const queue = this.#queues.get(holder) ?? { last: Promise.resolve(), waiting: 0 };
    this.#queues.set(holder, queue);
    // The number of windows that fit into the wait; a further call fails at once.
    if (queue.waiting > this.calls * Math.ceil(this.waitMs / this.windowMs)) throw new TooBusy();
    queue.waiting++;
    const turn = queue.last.then(() => this.#turn(holder, deadline));
    queue.last = turn.catch(() => {});
    try {
      await turn;
    } finally {
      if (--queue.waiting === 0) this.#queues.delete(holder);
    }
  }

  /** Pauses a method for this token. */
  async rest(holder: string, method: string, why: RestReason, ms: number): Promise<void> {
    await this.#shared((cache) => cache.set(restKey(holder, method), why, ms));
  }

  async rests(holder: string, method: string): Promise<RestReason | null> {
    return await this.#shared((cache) => cache.get(restKey(holder, method))) as RestReason | null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#alone[Symbol.asyncDispose]();
  }

  async #turn(holder: string, deadline: number): Promise<void> {
    for (;;) {
      if (Date.now() > deadline) throw new TooBusy();
      const { value, leftMs } = await this.#shared((cache) => cache.increment(`vk:calls:${holder}`, 1, this.windowMs));
      if (value <= this.calls) return;
      if (Date.now() + leftMs > deadline) throw new TooBusy();
      await sleep(leftMs);
    }
  }

  async #shared<T>(ask: (cache: Cache) => Promise<T>): Promise<T> {
    if (Date.now() >= this.#aloneUntil) {
      try {
        return await ask(this.cache);
      } catch (error) {
        if (!(error instanceof CacheUnavailable)) throw error;
        this.#aloneUntil = Date.now() + ALONE_MS;
      }
    }
    return await ask(this.#alone);
  }
}

function restKey(holder: string, method: string): string {
  return `vk:rest:${holder}:${method}`;
}
