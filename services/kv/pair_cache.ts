import { Buffer } from "node:buffer";
import { type ReadPairs, readPairs, revisionOf } from "../../db/kv.ts";
import type { Reader } from "../../db/sql.ts";
import { membersOf } from "./members.ts";

/** The total size of the cache, and the maximum of a cached pair and of a cached response (`docs/limits.md`). */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_PAIR_BYTES = 16 * 1024;
const MAX_ANSWER_BYTES = 256 * 1024;
/** Approximate size of a pair or a space besides its text. */
const OVERHEAD = 160;

interface Kept {
  revision: number;
  /** In the form of an object's members, `"key":value`. */
  pairs: Map<string, string>;
  /** When the first pair expires, by the clock of the database. */
  expires: number;
  bytes: number;
}

/**
 * Reads pairs and caches those of spaces that are read more often than written. They are valid as long as the space has
 * the revision at which they were read. Reading the revision costs a fraction of looking up each key. It is read every
 * time, so no stale value is returned, whichever process wrote.
 */
export class PairCache {
  /** Least recently used first. */
  #spaces = new Map<string, Kept>();
  #bytes = 0;

  constructor(private readonly sql: Reader, private readonly maxBytes = MAX_BYTES) {}

  /** Like `readPairs`. */
  async read(
    space: string,
    keys: readonly string[],
    options: { maxBytes: number; versions: boolean },
  ): Promise<Pick<ReadPairs, "pairs" | "versions" | "lengths">> {
    const kept = options.versions ? undefined : this.#spaces.get(space);
    const missing = kept ? keys.filter((key) => !kept.pairs.has(key)) : keys;
    if (kept && missing.length < keys.length) {
      const pairs = missing.length === 0
        ? await this.#confirmed(space, kept, keys, options.maxBytes)
        : await this.#completed(space, kept, keys, missing, options.maxBytes);
      if (pairs !== undefined) return { pairs, versions: null, lengths: null };
    }
    const read = await readPairs(this.sql, space, keys, options);
    this.#learn(space, read);
    return read;
  }

  /** The cached pairs of all these keys, if they are still valid. */
  async #confirmed(space: string, kept: Kept, keys: readonly string[], maxBytes: number): Promise<string | undefined> {
    const pairs = gathered(kept, keys, maxBytes);
    if (pairs === undefined) return undefined;
    const now = await revisionOf(this.sql, space);
    if (now?.revision === kept.revision && Date.parse(now.at) < kept.expires) {
      this.#touch(space, kept);
      return pairs;
    }
    this.#drop(space, kept);
    return undefined;
  }

  /** The same with the missing ones, which are read, if nothing has changed meanwhile. */
  async #completed(
    space: string,
    kept: Kept,
    keys: readonly string[],
    missing: readonly string[],
    maxBytes: number,
  ): Promise<string | undefined> {
    // Needs the time of the database, which is not read here.
    if (kept.expires !== Infinity) return undefined;
    const read = await readPairs(this.sql, space, missing, { maxBytes, versions: false });
    this.#learn(space, read);
    if (read.pairs === null || read.revision !== kept.revision) return undefined;
    return gathered(kept, keys, maxBytes);
  }

  #learn(space: string, { pairs, revision, expires_at }: ReadPairs): void {
    if (revision === null) return;
    const known = this.#spaces.get(space);
    if (known && known.revision > revision) return;
    if (!known || known.revision < revision) {
      if (known) this.#drop(space, known);
      // At first only the revision: a space that changes between reads is not worth caching.
      this.#spaces.set(space, { revision, pairs: new Map(), expires: Infinity, bytes: OVERHEAD });
      this.#bytes += OVERHEAD;
    } else if (pairs !== null && pairs.length <= MAX_ANSWER_BYTES) {
      const before = known.bytes;
      fill(known, pairs);
      if (expires_at !== null) known.expires = Math.min(known.expires, Date.parse(expires_at));
      this.#bytes += known.bytes - before;
      this.#touch(space, known);
    }
    for (const [oldest, { bytes }] of this.#spaces) {
      if (this.#bytes <= this.maxBytes) break;
      this.#spaces.delete(oldest);
      this.#bytes -= bytes;
    }
  }

  #touch(space: string, kept: Kept): void {
    // Another read may have removed it meanwhile.
    if (this.#spaces.delete(space)) this.#spaces.set(space, kept);
  }

  #drop(space: string, kept: Kept): void {
    if (this.#spaces.get(space) !== kept) return;
    this.#spaces.delete(space);
    this.#bytes -= kept.bytes;
  }
}

/** The pairs as the inside of an object; undefined if one is missing, or the total may be too long. */
function gathered({ pairs }: Kept, keys: readonly string[], maxBytes: number): string | undefined {
  const found: string[] = [];
  let length = 0;
  for (const key of keys) {
    const pair = pairs.get(key);
    if (pair === undefined) return undefined;
    length += pair.length;
    found.push(pair);
  }
  // A character takes three bytes at most.
  return length * 3 <= maxBytes ? found.join(",") : undefined;
}

function fill(kept: Kept, pairs: string): void {
  const { keys, values } = membersOf(`{${pairs}}`)!;
  for (const [i, key] of keys.entries()) {
    const text = `${JSON.stringify(key)}:${values[i]}`;
    if (text.length > MAX_PAIR_BYTES || kept.pairs.has(key)) continue;
    // A copy, since a part of a string keeps all of it in memory.
    kept.pairs.set(key, Buffer.from(text).toString());
    kept.bytes += OVERHEAD + 2 * text.length;
  }
}
