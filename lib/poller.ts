import { sleep } from "./sleep.ts";

export interface PollerOptions {
  /** Does some of the work; true where there is more. */
  step: () => Promise<boolean>;
  onFailure: (error: unknown) => void;
  /** Between looks without a reason. */
  everyMs: number;
  /** Between a step that did all there was and the next, so that what comes in the meantime shares it. */
  paceMs?: number;
}

/** Works when woken, and looks by itself every so often; one step at a time. */
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
    this.#running = this.#run().finally(() => {
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
      // Not at once: the next look tries again.
      this.#again = false;
      if (!this.#closed) onFailure(error);
    }
  }
}
