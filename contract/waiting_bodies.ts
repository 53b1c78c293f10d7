import { AppError } from "../lib/errors.ts";

/** Time for a short body to arrive; then 408 (`docs/limits.md`). */
export const BODY_WITHIN_MS = 10_000;
/**
 * Requests that may wait for a short body, in total and per address. Beyond this the one that waited longest is
 * refused.
 */
const MAX_WAITING = 8_192;
const MAX_WAITING_EACH = 256;

interface Waiting {
  address: string;
  until: number;
  giveUp(): void;
}

/**
 * Requests that wait for a short body. They do not count as concurrent requests, as half a request costs its sender
 * nothing: each has a time limit and each address a share. This is no semaphore: beyond the limit the oldest is
 * refused, not the newest.
 */
export class WaitingBodies {
  /** In the order of arrival, as all have the same time. */
  readonly #all = new Set<Waiting>();
  readonly #each = new Map<string, Set<Waiting>>();
  /** One interval for all: a timer per request would cost as much as the rest of the request. */
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly stats: { underWay: number }, private readonly withinMs = BODY_WITHIN_MS) {}

  /** The value of `body`. Throws `request-timeout` if it takes too long; the read itself continues. */
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
