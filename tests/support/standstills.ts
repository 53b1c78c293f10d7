/** Longer than the event loop is late for on a machine that runs. */
const LATE_MS = 150;
const EVERY_MS = 20;

/** When this process, and most likely the machine, stood still. What it measured meanwhile says nothing of others. */
export class Standstills implements Disposable {
  readonly #seen: { from: number; to: number }[] = [];
  #last = performance.now();
  readonly #timer = setInterval(() => this.#look(), EVERY_MS);

  /** How many milliseconds of a span of `performance.now()` it stood still. */
  within(from: number, to: number): number {
    this.#look();
    return this.#seen.reduce((sum, one) => sum + Math.max(0, Math.min(to, one.to) - Math.max(from, one.from)), 0);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#last > LATE_MS) this.#seen.push({ from: this.#last, to: now });
    this.#last = now;
  }
}
