import { passesByItself, type VkFailure, type VkResult } from "./errors.ts";
import { backoff } from "../../lib/backoff.ts";
import { sleep } from "../../lib/sleep.ts";

export interface RetryOptions {
  /** Attempts in total. */
  tries?: number;
  /** The first pause; each further one is doubled. */
  pauseMs?: number;
  /** The window of VK's rate limit, in milliseconds: an earlier call fails again. */
  windowMs?: number;
  /** From 0 to 1. */
  random?: () => number;
}

/** Attempts of one call, and its first pause (`docs/limits.md`). */
const TRIES = 4;
const PAUSE_MS = 200;
const WINDOW_MS = 1_000;
const JITTER = [0.5, 1.5] as const;

/**
 * Repeats a call while its failure may be temporary: codes 1, 6 and 10, a status of 5xx, invalid responses, lost
 * connections. Pauses beyond the deadline are not started. A call that changes something is repeated only after error
 * 6, which VK returns before it acts, so nothing is done twice.
 */
export async function repeated<T>(
  repeatable: () => boolean,
  attempt: () => Promise<VkResult<T>>,
  deadline: number,
  { tries = TRIES, pauseMs = PAUSE_MS, windowMs = WINDOW_MS, random = Math.random }: RetryOptions = {},
): Promise<VkResult<T>> {
  const windowPause = backoff({ firstMs: windowMs, maxMs: windowMs, jitter: JITTER, random });
  const retryPause = backoff({ firstMs: pauseMs, maxMs: Infinity, jitter: JITTER, random });
  for (let tried = 1;; tried++) {
    const result = await attempt();
    if (result.ok || tried >= tries || !worthAgain(result.failure, repeatable())) return result;
    const pause = (result.failure.kind === "too-fast" ? windowPause : retryPause)(tried);
    if (Date.now() + pause >= deadline) return result;
    await sleep(pause);
  }
}

function worthAgain(failure: VkFailure, repeatable: boolean): boolean {
  return failure.kind === "too-fast" || (repeatable && passesByItself(failure));
}
