import type { Cache } from "../lib/cache/cache.ts";
import { AppError } from "../lib/errors.ts";
import { folded } from "../lib/folding.ts";
import type { Secret } from "./secret.ts";

/** Wrong recovery codes from one network address for one e-mail, and for how long they count (`docs/limits.md`). */
export const MAX_RECOVERY_GUESSES = 5;
const WINDOW_MS = 30 * 60_000;

/** How often an account is sent a code. */
export interface CodePace {
  pauseMs: number;
  max: number;
  windowMs: number;
}

/**
 * Counts guesses at recovery codes by who guesses and which e-mail they name, whether an account has it or not: the count tells nothing,
 * and nobody but the guesser is kept from the right code. Where the cache is away only the limits of requests hold.
 */
export class RecoveryGuesses {
  constructor(
    private readonly cache: Cache,
    private readonly secret: Pick<Secret, "mac">,
    private readonly pace: CodePace,
  ) {}

  /** Counts one guess before it is judged, so that many at the same time are no more. Throws `code-exhausted`. */
  async count(address: string, email: string): Promise<void> {
    const count = await this.cache.increment(this.#key(address, email), 1, WINDOW_MS).catch(() => undefined);
    if (count === undefined || count.value <= MAX_RECOVERY_GUESSES) return;
    throw new AppError("code-exhausted", undefined, { retryAfter: Math.max(1, Math.ceil(count.leftMs / 1000)) });
  }

  /**
   * A new code was asked for. Wrong guesses are forgotten where it takes the place of the code they were guesses at: an account that was sent
   * one already keeps it, and a guesser who asks again and again would have any number of tries. Counted alike for an e-mail without an account.
   */
  async asked(address: string, email: string): Promise<void> {
    const key = `asked:${this.secret.mac("recovery asked", folded(email))}`;
    const { pauseMs, max, windowMs } = this.pace;
    const isNew = async () =>
      (await this.cache.increment(`${key}:pause`, 1, pauseMs)).value === 1 &&
      (await this.cache.increment(`${key}:window`, 1, windowMs)).value <= max;
    if (await isNew().catch(() => false)) await this.forget(address, email);
  }

  /** The right code was given. */
  async forget(address: string, email: string): Promise<void> {
    await this.cache.delete(this.#key(address, email)).catch(() => {});
  }

  #key(address: string, email: string): string {
    return `guesses:${this.secret.mac("recovery guesses", `${address}\n${folded(email)}`)}`;
  }
}
