import { AppError } from "../lib/errors.ts";

/** A short body is to be there within this time; then 408 (`docs/limits.md`). */
export const BODY_WITHIN_MS = 10_000;
/** Requests whose short body is waited for, in all and from one address. Over it the one that waited longest is given up. */
const MAX_WAITING = 8_192;
const MAX_WAITING_EACH = 256;

interface Waiting {
  address: string;
  until: number;
  giveUp(): void;
}

/**
 * Requests that wait for a short body. They take no place among those that are under way, as it costs a caller nothing to send half of
 * one: each has its time, and each address its share. No semaphore: beyond the limit it is the oldest that goes, not the newest.
 */
export class WaitingBodies {
  /** The longest waiting first, as all have the same time. */
  readonly #all = new Set<Waiting>();
  readonly #each = new Map<string, Set<Waiting>>();
  /** One for all: a timer for each request would cost as much as the rest of its way. */
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly stats: { underWay: number }, private readonly withinMs = BODY_WITHIN_MS) {}

  /** What `body` comes to. Throws `request-timeout` where it does not come in time; who reads it is not stopped. */
  wait<T>(address: string, body: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        address,
        until: Date.now() + this.withinMs,
        giveUp: () => {
          this.#remove(waiting);
          reject(new AppError("request-timeout"));
        },
      };
      this.#add(waiting);
      body.then((value) => {
        this.#remove(waiting);
        resolve(value);
      }, (error) => {
        this.#remove(waiting);
        reject(error);
      });
    });
  }

  #add(waiting: Waiting): void {
    this.stats.underWay--;
    this.#all.add(waiting);
    let each = this.#each.get(waiting.address);
    if (!each) this.#each.set(waiting.address, each = new Set());
    each.add(waiting);
    if (each.size > MAX_WAITING_EACH) first(each).giveUp();
    else if (this.#all.size > MAX_WAITING) first(this.#all).giveUp();
    this.#watch ??= setInterval(() => this.#look(), Math.min(1_000, this.withinMs / 4));
  }

  #remove(waiting: Waiting): void {
    if (!this.#all.delete(waiting)) return;
    this.stats.underWay++;
    const each = this.#each.get(waiting.address)!;
    each.delete(waiting);
    if (each.size === 0) this.#each.delete(waiting.address);
  }

  #look(): void {
    const now = Date.now();
    for (const waiting of this.#all) {
      if (waiting.until > now) return;
      waiting.giveUp();
    }
    if (this.#all.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }
}

function first(of: Set<Waiting>): Waiting {
  return of.values().next().value!;
}
