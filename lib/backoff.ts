export interface BackoffOptions {
  /** The pause after the first failure. */
  firstMs: number;
  maxMs: number;
  /** The ratio of each pause to the one before. */
  factor?: number;
  /** Each pause is multiplied by a random number in this range, so that callers that failed together spread out. */
  jitter?: readonly [from: number, to: number];
  /** From 0 to 1. */
  random?: () => number;
}

/** The pause before the next try, in milliseconds, by the number of failures in a row: 1 after the first. */
export type Backoff = (failures: number) => number;

/** Exponential backoff with an upper limit. It keeps no state, so one instance serves any number of callers. */
export function backoff(
  { firstMs, maxMs, factor = 2, jitter: [from, to] = [1, 1], random = Math.random }: BackoffOptions,
): Backoff {
  return (failures) => {
    const pause = Math.min(maxMs, firstMs * factor ** Math.max(0, failures - 1));
    return from === to ? pause * from : pause * (from + random() * (to - from));
  };
}
