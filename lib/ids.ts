const RANDOM_BYTES = 10;
/** Random bytes are drawn in batches: one call costs the same for one id as for a hundred. */
const pool = new Uint8Array(100 * RANDOM_BYTES);
let used = pool.length;

let lastMs = 0;
/** `lastMs` as the first part of an id. */
let time = "00000000-0000";
let counter = 0;

/** A UUIDv7 (RFC 9562 §5.7): sorts by time, strictly increasing within a thread. */
export function newId(now = Date.now()): string {
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  const at = used;
  used += RANDOM_BYTES;
  if (now > lastMs) {
    setTime(now);
    // Leaves room to increment within the millisecond.
    counter = ((pool[at]! & 0x07) << 8) | pool[at + 1]!;
  } else if (++counter > 0xfff) {
    setTime(lastMs + 1);
    counter = 0;
  }
  let id = `${time}-7${HEX[counter >> 8]![1]}${HEX[counter & 0xff]}-${HEX[(pool[at + 2]! & 0x3f) | 0x80]}${
    HEX[pool[at + 3]!]
  }-`;
  for (let i = at + 4; i < at + RANDOM_BYTES; i++) id += HEX[pool[i]!]!;
  return id;
}

/** Formats the time once per millisecond. */
function setTime(ms: number): void {
  lastMs = ms;
  const hex = ms.toString(16).padStart(12, "0");
  time = `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
