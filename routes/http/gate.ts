import { AppError } from "../../lib/errors.ts";

/**
 * Lets so many through at once and so many wait; whoever waits too long, or finds the queue full, is refused. So is who has
 * enough places already: nobody shuts the gate for everybody.
 */
export class Gate {
  #inside = 0;
  #held = new Map<string, number>();
  #waiting: (() => void)[] = [];

  constructor(
    private readonly limits: { atOnce: number; each: number; mostWaiting: number; waitMs: number },
  ) {}

  /** Throws `overloaded`. What it returns opens the gate for the next, once. */
  async enter(who: string): Promise<Disposable> {
    const held = this.#held.get(who) ?? 0;
    if (held >= this.limits.each) {
      throw new AppError("overloaded", "Some of your long requests are still under way", { retryAfter: 2 });
    }
    this.#held.set(who, held + 1);
    try {
      if (this.#inside >= this.limits.atOnce) await this.#turn();
      else this.#inside++;
    } catch (error) {
      this.#release(who);
      throw error;
    }
    let left = false;
    return {
      [Symbol.dispose]: () => {
        if (left) return;
        left = true;
        this.#release(who);
        this.#leave();
      },
    };
  }

  #release(who: string): void {
    const held = this.#held.get(who)! - 1;
    if (held > 0) this.#held.set(who, held);
    else this.#held.delete(who);
  }

  #turn(): Promise<void> {
    const full = new AppError("overloaded", "Too many long requests are under way", { retryAfter: 2 });
    if (this.#waiting.length >= this.limits.mostWaiting) throw full;
    return new Promise((resolve, reject) => {
      const enter = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(full);
      }, this.limits.waitMs);
      this.#waiting.push(enter);
    });
  }

  /** The place goes on to the next who waits. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#inside--;
  }
}
