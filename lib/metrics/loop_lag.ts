import { type Sample, sampled } from "./samples.ts";

/** Sampling interval of the event loop's lag. */
const SAMPLE_MS = 200;

/** The maximum lag of this thread's event loop since the last reading. */
export class LoopLag {
  #most = 0;

  constructor() {
    let due = performance.now() + SAMPLE_MS;
    const timer = setInterval(() => {
      const now = performance.now();
      this.#most = Math.max(this.#most, now - due);
      due = now + SAMPLE_MS;
    }, SAMPLE_MS);
    // The timer must not keep a process alive.
    Deno.unrefTimer(timer);
  }

  /** Milliseconds. */
  take(): number {
    const most = this.#most;
    this.#most = 0;
    return most;
  }
}

export function lagSample(thread: string, lagMs: number): Sample {
  const help = "Largest delay of a thread's event loop since the last reading";
  return sampled("gauge", "event_loop_lag_seconds", help, [[{ thread }, lagMs / 1000]]);
}
