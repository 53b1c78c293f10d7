import { MAX_LISTED, type Storage, StorageError, type StoredObject } from "./storage.ts";

/** The result of one step; the caller adds them up. */
export interface ScrubReport {
  /** Unknown objects that are too old for a running upload. */
  orphans: StoredObject[];
  /** Keys that must exist but are missing or damaged. */
  missing: string[];
  /** Objects and keys checked. */
  looked: number;
}

export interface ScrubOptions {
  /** A newer object is never an orphan: its row may be about to be written. */
  olderThanMs: number;
  now?: () => number;
  /** Objects per step. */
  batch?: number;
}

const LOOKUP_CONCURRENCY = 8;

/**
 * Compares the objects with the rows that refer to them, in batches; it changes nothing. `known` is called after the
 * objects were listed, so an object that becomes known during the scrub is no orphan. A missing key that is no longer
 * known was deleted during the scrub.
 */
export async function* scrub(
  storage: Storage,
  known: (keys: string[]) => Promise<Set<string>>,
  expected: AsyncIterable<string[]>,
  { olderThanMs, now = Date.now, batch = MAX_LISTED }: ScrubOptions,
): AsyncGenerator<ScrubReport> {
  let after: string | undefined;
  do {
    const found = await storage.list({ limit: batch, ...(after === undefined ? {} : { after }) });
    after = found.at(-1)?.key;
    const old = found.filter(({ stored_at }) => Date.parse(stored_at) < now() - olderThanMs);
    const owned = old.length > 0 ? await known(old.map(({ key }) => key)) : new Set();
    yield { orphans: old.filter(({ key }) => !owned.has(key)), missing: [], looked: found.length };
  } while (after !== undefined);
  for await (const keys of expected) {
    const absent: string[] = [];
    for (let i = 0; i < keys.length; i += LOOKUP_CONCURRENCY) {
      const some = keys.slice(i, i + LOOKUP_CONCURRENCY);
      const whole = await Promise.all(some.map((key) => isWhole(storage, key)));
      absent.push(...some.filter((_, j) => !whole[j]));
    }
    const still = absent.length > 0 ? await known(absent) : new Set();
    yield { orphans: [], missing: absent.filter((key) => still.has(key)), looked: keys.length };
  }
}

async function isWhole(storage: Storage, key: string): Promise<boolean> {
  try {
    return await storage.head(key) !== undefined;
  } catch (error) {
    if (error instanceof StorageError && error.kind === "fault") return false;
    throw error;
  }
}
