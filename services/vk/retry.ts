import { passesByItself, type VkFailure, type VkResult } from "./errors.ts";
import { backoff } from "../../lib/backoff.ts";
import { sleep } from "../../lib/sleep.ts";

export interface RetryOptions {
  /** Tries in all. */
  tries?: number;
  /** The first pause, doubled by each further one. */
  pauseMs?: number;
  /** VK counts by so many milliseconds: sooner a call is too early again. */
  windowMs?: number;
  /** From 0 to 1. */
  random?: () => number;
}

/** Tries of one call, and its first pause (`docs/limits.md`). */
const TRIES = 4;
const PAUSE_MS = 200;
const WINDOW_MS = 1_000;
const JITTER = [0.5, 1.5] as const;

/**
 * Tries a call again while what it failed of may pass by itself: codes 1, 6 and 10, a status of 5xx, broken answers, lost
 * connections; pauses that would reach the deadline are not begun. One that changes something is repeated only where VK turned it away at the door (6), so nothing is done twice.
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
