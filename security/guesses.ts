import type { Cache } from "../lib/cache/cache.ts";
import { AppError } from "../lib/errors.ts";
import { folded } from "../lib/folding.ts";
import type { Secret } from "./secret.ts";

/** Incorrect recovery codes per network address and email, and how long they count (`docs/limits.md`). */
export const MAX_RECOVERY_GUESSES = 5;
const WINDOW_MS = 30 * 60_000;

/** How often codes are sent to an account. */
export interface CodePace {
  pauseMs: number;
  max: number;
  windowMs: number;
}

/**
 * Counts attempts at recovery codes by caller and email, whether an account has that email or not. So the count reveals
 * nothing, and an attacker does not lock out the owner. Without the cache only the request limits apply.
 */
export class RecoveryGuesses {
  constructor(
    private readonly cache: Cache,
    private readonly secret: Pick<Secret, "mac">,
    private readonly pace: CodePace,
  ) {}

  /** Counts an attempt before it is checked, so that concurrent attempts are counted too. Throws `code-exhausted`. */
  async count(address: string, email: string): Promise<void> {
    const count = await this.cache.increment(this.#key(address, email), 1, WINDOW_MS).catch(() => undefined);
    if (count === undefined || count.value <= MAX_RECOVERY_GUESSES) return;
    throw new AppError("code-exhausted", undefined, { retryAfter: Math.max(1, Math.ceil(count.leftMs / 1000)) });
  }

  /**
   * A new code was requested. The count is reset only if this code replaces the one that was guessed. Otherwise an
   * attacker could request codes to get unlimited attempts. Counted in the same way for an email without account.
   */
  async asked(address: string, email: string): Promise<void> {
    const key = `asked:${this.secret.mac("recovery asked", folded(email))}`;
    const { pauseMs, max, windowMs } = this.pace;
    const isNew = async () =>
      (await this.cache.increment(`${key}:pause`, 1, pauseMs)).value === 1 &&
      (await this.cache.increment(`${key}:window`, 1, windowMs)).value <= max;
    if (await isNew().catch(() => false)) await this.forget(address, email);
  }

  /** The correct code was given. */
  async forget(address: string, email: string): Promise<void> {
    await this.cache.delete(this.#key(address, email)).catch(() => {});
  }

  #key(address: string, email: string): string {
    return `guesses:${this.secret.mac("recovery guesses", `${address}\n${folded(email)}`)}`;
  }
}
