import { AppError } from "../../lib/errors.ts";
import type { RateLimiter } from "./rate_limit.ts";
import { backoff } from "../../lib/backoff.ts";
import { sleep } from "../../lib/sleep.ts";

/** What counts as a guess at one account's secret: the account as the guesser names it, and where the guess came from. */
export interface Guess {
  name: string;
  address: string;
}

/** Wrong guesses at one account within the window, from wherever, after which the next ones are slowed (`docs/limits.md`). */
export const FREE_GUESSES = 20;
export const WINDOW_MS = 3_600_000;
/** The first delay; it doubles with so many further guesses, up to the longest. */
const FIRST_DELAY_MS = 250;
const GUESSES_A_STEP = 20;
export const MAX_DELAY_MS = 4_000;
const DELAY_BACKOFF = backoff({ firstMs: FIRST_DELAY_MS, maxMs: MAX_DELAY_MS });
/** Guesses that wait on this node: in all, at one account, from one address. */
const MAX_DELAYED = 400;
const MAX_DELAYED_FOR_NAME = 20;
const MAX_DELAYED_FROM_ADDRESS = 4;

/**
 * Holds guessing down and shuts no owner out (docs/decisions/0017-rate-limits.md). The pair of account and address is refused after a few
 * wrong guesses. All addresses together only slow each other: a first guess from an address is delayed a little and never refused. The
 * account is counted by the name that was given, so that the count is the same whether somebody has it or not.
 */
export class Guesses {
  /** Guesses that are delayed, by three names each. No semaphore: none of them waits for another to end. */
  #delayed = new Map<string, number>();

  constructor(private readonly limiter: RateLimiter) {}

  /**
   * Judges one guess by how `work` ends. Throws `rate-limited` without having called it. `isOwners`: whether what it came to was by the
   * secret of the account that is guessed at; another's, which a guesser may own, forgets no wrong guess.
   */
  async judge<T>(
    { name, address }: Guess,
    work: () => Promise<T> | T,
    isOwners: (result: T) => boolean = () => true,
  ): Promise<T> {
    const pair = `${name}\n${address}`;
    // Counted before they are judged, so that many at the same time are no more.
    await this.limiter.check("guesses", pair);
    const state = await this.limiter.check("guesses_hour", pair);
    // Without a state nothing is limited here.
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

  /** Where no more may wait, a first guess goes on undelayed, and another is refused. */
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

/** Any other end says nothing of what was guessed. */
function isWrong(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  if (error.code === "credentials-invalid" || error.code === "code-invalid") return true;
  return error.code === "validation" &&
    (error.errors ?? []).some(({ path, rule }) => path === "current" && rule === "wrong");
}
