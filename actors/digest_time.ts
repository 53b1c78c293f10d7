const HOUR_MS = 3_600_000;
/** Days of digests begin at this hour, UTC. */
const BEGIN_MS = 8 * HOUR_MS;
/** A digest takes in nothing any more in the last minute before it. */
const CLOSED_MS = 60_000;

/**
 * When the next digest goes out that a post of now can still be in. What is added to a digest is added under a claim that is lost long
 * before the digest is closed, so nothing comes too late for it.
 */
export function nextDigest(now: number, everyMs: number): string {
  const from = now + Math.min(CLOSED_MS, everyMs / 2) - BEGIN_MS;
  return new Date((Math.floor(from / everyMs) + 1) * everyMs + BEGIN_MS).toISOString();
}
