const RANDOM_BYTES = 10;
/** Asking for randomness costs the same for one id as for a hundred. */
const pool = new Uint8Array(100 * RANDOM_BYTES);
let used = pool.length;

let lastMs = 0;
let counter = 0;

/** A UUIDv7 (RFC 9562 §5.7): sorts by time, and strictly upwards within a thread. */
export function newId(now = Date.now()): string {
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  const random = pool.subarray(used, used += RANDOM_BYTES);
  if (now > lastMs) {
    lastMs = now;
    // Room to count upwards within the millisecond.
    counter = ((random[0]! & 0x07) << 8) | random[1]!;
  } else if (++counter > 0xfff) {
    lastMs++;
    counter = 0;
  }
  const ms = lastMs.toString(16).padStart(12, "0");
  const sequence = (0x7000 | counter).toString(16);
  const variant = ((random[2]! & 0x3f) | 0x80).toString(16).padStart(2, "0");
  let rest = variant;
  for (let i = 3; i < RANDOM_BYTES; i++) rest += HEX[random[i]!]!;
  return `${ms.slice(0, 8)}-${ms.slice(8)}-${sequence}-${rest.slice(0, 4)}-${rest.slice(4)}`;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
