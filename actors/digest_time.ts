const HOUR_MS = 3_600_000;
/** The hour (UTC) at which days of digests begin. */
const BEGIN_MS = 8 * HOUR_MS;
/** A digest is closed for new posts this long before it is sent. */
const CLOSED_MS = 60_000;

/**
 * The send time of the next digest that can still include a post of now. Posts are added under a claim that expires
 * long before the digest closes, so none is added too late.
 */
export function nextDigest(now: number, everyMs: number): string {
  const from = now + Math.min(CLOSED_MS, everyMs / 2) - BEGIN_MS;
  return new Date((Math.floor(from / everyMs) + 1) * everyMs + BEGIN_MS).toISOString();
}
