import { AppError } from "../../errors.ts";

/** Lets so many through at once and so many wait; whoever waits too long, or finds the queue full, is refused. */
export class Gate {
  #inside = 0;
  #waiting: (() => void)[] = [];

  constructor(private readonly atOnce: number, private readonly mostWaiting: number, private readonly waitMs: number) {}

  /** Throws `overloaded`. What it returns opens the gate for the next. */
  async enter(): Promise<Disposable> {
    if (this.#inside >= this.atOnce) await this.#turn();
    else this.#inside++;
    return { [Symbol.dispose]: () => this.#leave() };
  }

  #turn(): Promise<void> {
    const full = new AppError("overloaded", "Too many long requests are under way", { retryAfter: 2 });
    if (this.#waiting.length >= this.mostWaiting) throw full;
    return new Promise((resolve, reject) => {
      const enter = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(full);
      }, this.waitMs);
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
