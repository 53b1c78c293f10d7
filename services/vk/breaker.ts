export interface BreakerOptions {
  /** The number of consecutive failures that opens it. */
  failures?: number;
  /** Milliseconds until one call may try again. */
  openMs?: number;
  now?: () => number;
}

/** Consecutive failures after which VK's host counts as down, and for how long (`docs/limits.md`). */
const FAILURES = 5;
const OPEN_MS = 10_000;

/** A circuit breaker: after consecutive failures no calls are made for a while, then a single call tests the host. */
export class Breaker {
  #failures = 0;
  #openUntil = 0;
  #trying = false;
  private readonly most: number;
  private readonly openMs: number;
  private readonly now: () => number;

  constructor({ failures = FAILURES, openMs = OPEN_MS, now = () => Date.now() }: BreakerOptions = {}) {
    this.most = failures;
    this.openMs = openMs;
    this.now = now;
  }

  /** Whether a call would be refused now. */
  get open(): boolean {
    return this.#failures >= this.most && (this.#trying || this.now() < this.#openUntil);
  }

  /** Runs the work and records its result: a throw is a failure of the host. Call only while it is not `open`. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const trying = this.#failures >= this.most;
    if (trying) this.#trying = true;
    try {
      const value = await work();
      this.#failures = 0;
      return value;
    } catch (error) {
      this.#failures++;
      this.#openUntil = this.now() + this.openMs;
      throw error;
    } finally {
      if (trying) this.#trying = false;
    }
  }
}
