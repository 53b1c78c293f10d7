/**
 * Short-lived shared values: rate-limit counters and answers of others. Losing it loses nothing but speed, so nothing that
 * must survive lives here. Two drivers, one contract (`tests/conformance/cache_suite.ts`): memory and Redis. A failing Redis
 * makes calls reject with `CacheUnavailable` within `timeout`; callers decide whether to go on without.
 */
export interface Cache extends AsyncDisposable {
  get(key: string): Promise<string | null>;
  /** `ttlMs` in milliseconds. With `onlyNew`, tells `false` and changes nothing where the key exists. */
  set(key: string, value: string, ttlMs: number, options?: { onlyNew?: boolean }): Promise<boolean>;
  /** Reads and removes in one step: of many callers one gets the value. */
  take(key: string): Promise<string | null>;
  delete(key: string): Promise<void>;
  /** Adds `by` to a counter and returns it with the milliseconds left; the first call starts the window of `ttlMs`. */
  increment(key: string, by: number, ttlMs: number): Promise<{ value: number; leftMs: number }>;
}

export class CacheUnavailable extends Error {
  override readonly name = "CacheUnavailable";
}
