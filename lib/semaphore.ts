/** The limit that was reached: that of all, or that of a single key. */
export type SemaphoreLimit = "all" | "key";

export interface SemaphoreOptions {
  /** Places. */
  concurrency: number;
  /** How many may wait for a place; more are refused. No limit by default. */
  maxWaiting?: number;
  /** How long each may wait, in milliseconds. No limit by default. */
  waitMs?: number;
  /** Places and waiting entries of one key, so that no single caller takes all. */
  perKey?: number;
  /** The error of a refusal. */
  refusal?: (limit: SemaphoreLimit) => Error;
}

export interface Acquisition {
  /** Counted by `perKey`. */
  key?: string;
  /** Ends the wait; `acquire` then rejects with its reason. */
  signal?: AbortSignal | undefined;
}

export class SemaphoreFull extends Error {
  override readonly name = "SemaphoreFull";
  constructor(readonly limit: SemaphoreLimit) {
    super(limit === "key" ? "Too many requests of one caller" : "Too many requests at the same time");
  }
}

/** A limited number of places. Others wait in order, within the limits of the options. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #byKey = new Map<string, number>();

  constructor(private readonly options: SemaphoreOptions) {
    this.#free = options.concurrency;
  }

  /** Holds a place until it is disposed; disposing twice is safe. Throws the refusal, or the reason of the signal. */
  async acquire({ key, signal }: Acquisition = {}): Promise<Disposable> {
    signal?.throwIfAborted();
    if (key !== undefined) this.#count(key);
    try {
      if (this.#free > 0) this.#free--;
      else await this.#turn(signal);
    } catch (error) {
      if (key !== undefined) this.#uncount(key);
      throw error;
    }
    let released = false;
    return {
      [Symbol.dispose]: () => {
        if (released) return;
        released = true;
        if (key !== undefined) this.#uncount(key);
        this.#release();
      },
    };
  }

  /** Runs the work with a place, which is released however the work ends. */
  async run<T>(work: () => Promise<T> | T, acquisition?: Acquisition): Promise<T> {
    using _place = await this.acquire(acquisition);
    return await work();
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    const { maxWaiting = Infinity, waitMs } = this.options;
    if (this.#waiting.length >= maxWaiting) throw this.#refusal("all");
    return new Promise((resolve, reject) => {
      const giveUp = (reason: unknown) => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        end();
        reject(reason);
      };
      // Ends the wait at once: an entry that has a place can no longer be refused.
      const enter = () => {
        end();
        resolve();
      };
      const aborted = () => giveUp(signal!.reason);
      const timer = waitMs === undefined ? undefined : setTimeout(() => giveUp(this.#refusal("all")), waitMs);
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
      };
      this.#waiting.push(enter);
      signal?.addEventListener("abort", aborted);
    });
  }

  /** Gives the place to the longest waiting entry, so that later callers do not overtake. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }

  #count(key: string): void {
    const held = this.#byKey.get(key) ?? 0;
    if (held >= (this.options.perKey ?? Infinity)) throw this.#refusal("key");
    this.#byKey.set(key, held + 1);
  }

  #uncount(key: string): void {
    const held = this.#byKey.get(key)! - 1;
    if (held > 0) this.#byKey.set(key, held);
    else this.#byKey.delete(key);
  }

  #refusal(limit: SemaphoreLimit): Error {
    return this.options.refusal?.(limit) ?? new SemaphoreFull(limit);
  }
}
