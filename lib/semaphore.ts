/** Which limit refuses: the one of all, or the one of a single key. */
export type SemaphoreLimit = "all" | "key";

export interface SemaphoreOptions {
  /** How many may be inside at the same time. */
  concurrency: number;
  /** How many may wait for a place; beyond it they are refused at once. Any number by default. */
  maxWaiting?: number;
  /** How long each may wait, in milliseconds. Forever by default. */
  waitMs?: number;
  /** How many of one key may be inside or wait, so that no single caller takes all places. */
  perKey?: number;
  /** What a refusal throws. */
  refusal?: (limit: SemaphoreLimit) => Error;
}

export interface Acquisition {
  /** Counted by `perKey`. */
  key?: string;
  /** Ends the waiting; `acquire` rejects with its reason then. */
  signal?: AbortSignal | undefined;
}

export class SemaphoreFull extends Error {
  override readonly name = "SemaphoreFull";
  constructor(readonly limit: SemaphoreLimit) {
    super(limit === "key" ? "Too many of one caller" : "Too many at the same time");
  }
}

/** A bounded number of places. Those who find none wait, first come, first served, within the limits of the options. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #byKey = new Map<string, number>();

  constructor(private readonly options: SemaphoreOptions) {
    this.#free = options.concurrency;
  }

  /** The place is held until it is disposed of, once or more. Throws the refusal, or the reason of the signal. */
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

  /** Does the work inside; its place is free again however the work ends. */
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
      // Ends the waiting at once: whoever was given a place can no longer give it up.
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

  /** The place goes on to whoever waits longest, so that nobody who comes later overtakes. */
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
