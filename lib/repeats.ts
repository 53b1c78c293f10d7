import { apart } from "./tracing.ts";

/** Interval of a warning that repeats (`docs/limits.md`). */
export const REPEAT_MS = 60_000;

interface Period {
  /** Occurrences since the last line. */
  count: number;
  /** Writes the line of the latest occurrence. */
  write: (count: number) => void;
}

/**
 * Limits repeated events: the first of a key is written at once, later ones in a period as one, with their number. Keys
 * are few: constants of the code.
 */
export class Repeats {
  readonly #periods = new Map<string, Period>();

  constructor(private readonly periodMs = REPEAT_MS) {}

  /** `write` gets the number of occurrences that its line stands for. */
  add(key: string, write: (count: number) => void): void {
    const period = this.#periods.get(key);
    if (period) {
      period.count++;
      period.write = write;
      return;
    }
    write(1);
    this.#begin(key, { count: 0, write });
  }

  #begin(key: string, period: Period): void {
    this.#periods.set(key, period);
    // The line of several occurrences belongs to no single request.
    const timer = apart(() => setTimeout(() => this.#end(key, period), this.periodMs));
    // The timer must not keep a process alive.
    Deno.unrefTimer(timer);
  }

  #end(key: string, period: Period): void {
    this.#periods.delete(key);
    if (period.count === 0) return;
    period.write(period.count);
    this.#begin(key, { ...period, count: 0 });
  }
}
