import { AppError } from "../../lib/errors.ts";
import type { RateLimiter } from "./rate_limit.ts";
import { backoff } from "../../lib/backoff.ts";
import { sleep } from "../../lib/sleep.ts";

/** A guess at an account's secret: the account as the caller names it, and the caller's address. */
export interface Guess {
  name: string;
  address: string;
}

/**
 * Wrong guesses at one account within the window, from all addresses, before further ones are delayed
 * (`docs/limits.md`).
 */
export const FREE_GUESSES = 20;
export const WINDOW_MS = 3_600_000;
/** The first delay. It doubles per this many further guesses, up to the maximum. */
const FIRST_DELAY_MS = 250;
const GUESSES_A_STEP = 20;
export const MAX_DELAY_MS = 4_000;
const DELAY_BACKOFF = backoff({ firstMs: FIRST_DELAY_MS, maxMs: MAX_DELAY_MS });
/** Delayed guesses on this node: in total, per account, per address. */
const MAX_DELAYED = 400;
const MAX_DELAYED_FOR_NAME = 20;
const MAX_DELAYED_FROM_ADDRESS = 4;

/**
 * Limits guessing without locking owners out (docs/decisions/0017-rate-limits.md). A pair of account and address is
 * rejected after a few wrong guesses. All addresses together only delay each other: the first guess from an address is
 * delayed briefly and never rejected. Accounts are counted by the given name, so existing and unknown ones are treated
 * alike.
 */
export class Guesses {
  /** Delayed guesses by three keys each. Not a semaphore: none waits for another to end. */
  #delayed = new Map<string, number>();

  constructor(private readonly limiter: RateLimiter) {}

  /**
   * Counts one guess by the outcome of `work`. Throws `rate-limited` without calling it. `isOwners`: whether the secret
   * was that of the named account. Success with another account's secret does not reset the count.
   */
  async judge<T>(
    { name, address }: Guess,
    work: () => Promise<T> | T,
    isOwners: (result: T) => boolean = () => true,
  ): Promise<T> {
    const pair = `${name}\n${address}`;
    // Counted before the outcome is known, so that concurrent guesses count.
    await this.limiter.check("guesses", pair);
    const state = await this.limiter.check("guesses_hour", pair);
    // Without a rate state nothing is limited.
    if (state === undefined) return await work();
    const takeBack = async (all: boolean) => {
      const back = all ? "forget" : "undo";
      await Promise.all([this.limiter[back]("guesses", pair), this.limiter[back]("guesses_hour", pair)]);
      await this.limiter.count(`guesses:${name}`, -1, WINDOW_MS);
    };
    const total = await this.limiter.count(`guesses:${name}`, 1, WINDOW_MS);
    try {
      const isFirst = state.limit - state.remaining <= 1;
      await this.#slow({ name, address }, delayMs(total.value), isFirst);
      const result = await work();
      await takeBack(isOwners(result));
      return result;
    } catch (error) {
      if (!isWrong(error)) await takeBack(false);
      throw error;
    }
  }

  /** If too many wait already, a first guess is not delayed and others are rejected. */
  async #slow({ name, address }: Guess, ms: number, isFirst: boolean): Promise<void> {
    if (ms === 0) return;
    const places: [string, number][] = [
      ["all", MAX_DELAYED],
      [`name ${name}`, MAX_DELAYED_FOR_NAME],
      [`address ${address}`, MAX_DELAYED_FROM_ADDRESS],
    ];
    const taken = isFirst ? places.slice(0, 1) : places;
    if (taken.some(([place, max]) => (this.#delayed.get(place) ?? 0) >= max)) {
      if (isFirst) return;
      throw new AppError("rate-limited", "Too many sign-in attempts for this account; try again later", {
        retryAfter: Math.ceil(ms / 1000),
      });
    }
    for (const [place] of taken) this.#delayed.set(place, (this.#delayed.get(place) ?? 0) + 1);
    try {
      await sleep(ms);
    } finally {
      for (const [place] of taken) {
        const left = this.#delayed.get(place)! - 1;
        if (left > 0) this.#delayed.set(place, left);
        else this.#delayed.delete(place);
      }
    }
  }
}

export function delayMs(guesses: number): number {
  if (guesses <= FREE_GUESSES) return 0;
  return DELAY_BACKOFF(1 + Math.floor((guesses - FREE_GUESSES - 1) / GUESSES_A_STEP));
}

/** Other outcomes say nothing about the guess. */
function isWrong(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  if (error.code === "credentials-invalid" || error.code === "code-invalid") return true;
  return error.code === "validation" &&
    (error.errors ?? []).some(({ path, rule }) => path === "current" && rule === "wrong");
}
