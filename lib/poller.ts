import { sleep } from "./sleep.ts";
import { apart } from "./tracing.ts";

export interface PollerOptions {
  /** Does a part of the work; true if there is more. */
  step: () => Promise<boolean>;
  onFailure: (error: unknown) => void;
  /** The interval without a wake-up, in milliseconds. */
  everyMs: number;
  /** Pause after a step that left no work, in milliseconds, so that work that arrives meanwhile is done in one step. */
  paceMs?: number;
}

/** Runs its step when woken and at an interval, never twice at the same time. */
export class Poller implements AsyncDisposable {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(private readonly options: PollerOptions) {
    this.wake();
  }

  wake(): void {
    this.#again = true;
    if (this.#closed || this.#running) return;
    clearTimeout(this.#timer);
    // Its work is not part of the request that wakes it.
    this.#running = apart(() => this.#run()).finally(() => {
      this.#running = undefined;
      if (this.#again) return this.wake();
      if (!this.#closed) this.#timer = setTimeout(() => this.wake(), this.options.everyMs);
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { step, onFailure, paceMs } = this.options;
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        if (await step()) this.#again = true;
        else if (paceMs !== undefined && this.#again) await sleep(paceMs);
      }
    } catch (error) {
      // Not immediately: the next interval retries.
      this.#again = false;
      if (!this.#closed) onFailure(error);
    }
  }
}
