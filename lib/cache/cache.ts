/**
 * Short-lived shared values, such as rate-limit counters and cached responses. Losing them costs only speed, so nothing
 * that must survive is kept here. Two drivers share one contract (`tests/conformance/cache_suite.ts`): memory and
 * Redis. If Redis fails, calls reject with `CacheUnavailable` within `timeout`; callers decide whether to go on without
 * it.
 */
export interface Cache extends AsyncDisposable {
  get(key: string): Promise<string | null>;
  /** `ttlMs` in milliseconds. With `onlyNew`, returns `false` and changes nothing if the key exists. */
  set(key: string, value: string, ttlMs: number, options?: { onlyNew?: boolean }): Promise<boolean>;
  /** Reads and removes atomically: of many callers one gets the value. */
  take(key: string): Promise<string | null>;
  delete(key: string): Promise<void>;
  /** Adds `by` to a counter and returns it with the milliseconds left. The first call starts the window of `ttlMs`. */
  increment(key: string, by: number, ttlMs: number): Promise<{ value: number; leftMs: number }>;
}

export class CacheUnavailable extends Error {
  override readonly name = "CacheUnavailable";
}
