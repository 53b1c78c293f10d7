import { MAX_LISTED, type Storage, StorageError, type StoredObject } from "./storage.ts";

/** What one step of a scrub found; sums are the caller's. */
export interface ScrubReport {
  /** Objects that nobody knows, old enough to be nobody's upload. */
  orphans: StoredObject[];
  /** Keys that must exist and do not, or are damaged. */
  missing: string[];
  /** Objects and keys looked at. */
  looked: number;
}

export interface ScrubOptions {
  /** A younger object is never an orphan: what will know it may be about to be written. */
  olderThanMs: number;
  now?: () => number;
  /** Objects a step. */
  batch?: number;
}

const LOOKUP_CONCURRENCY = 8;

/**
 * Holds the objects and those who know them against each other, in steps that hold one batch each; it changes nothing.
 * `known` tells which of some keys are known, and is asked after the objects were seen, so an object that becomes known
 * amid the scrub is no orphan. A key that is missing and no longer known was deleted amid the scrub.
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
