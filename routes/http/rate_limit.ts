import { createHash } from "node:crypto";
import type { Cache } from "../../lib/cache/cache.ts";
import { AppError } from "../../lib/errors.ts";

interface Limit {
  /** Requests per window. */
  limit: number;
  windowS: number;
  by: "account" | "address" | "pair";
  description: string;
}

/**
 * Rate limits (`docs/limits.md`). A pair is an account, as named by the caller, with an address, so that requests from
 * elsewhere do not lock an owner out.
 */
export const LIMITS = {
  general_account: { limit: 1_200, windowS: 60, by: "account", description: "All requests of one account" },
  general_address: { limit: 2_400, windowS: 60, by: "address", description: "All requests from one address" },
  photos: { limit: 12_000, windowS: 60, by: "address", description: "Photos read from one address" },
  search: { limit: 600, windowS: 60, by: "account", description: "Searches of one account" },
  signin: { limit: 20, windowS: 60, by: "address", description: "Passwords tried from one address" },
  guesses: { limit: 10, windowS: 60, by: "pair", description: "Wrong passwords or codes for one account, one address" },
  guesses_hour: { limit: 60, windowS: 3_600, by: "pair", description: "The same per hour" },
  refresh: { limit: 60, windowS: 60, by: "address", description: "Pairs of tokens refreshed from one address" },
  codes: { limit: 10, windowS: 60, by: "account", description: "Codes requested or tried by one account or address" },
  unsubscribe: {
    limit: 300,
    windowS: 60,
    by: "account",
    description: "Uses of one account's unsubscribe link",
  },
  vk: { limit: 120, windowS: 60, by: "account", description: "VK requests of one account" },
  reports: { limit: 10, windowS: 60, by: "account", description: "Reports made by one account" },
  register: { limit: 30, windowS: 60, by: "address", description: "Accounts registered from one address" },
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof LIMITS;

/** The state of a limit after this request. */
export interface RateState {
  limit: number;
  remaining: number;
  /** Seconds until the window ends. */
  resetS: number;
  /** The limit's name and window, as in `RateLimit-Policy`. */
  policy: { name: string; windowS: number };
}

/** A rejection with the limit that caused it. */
export class RateLimited extends AppError {
  constructor(detail: string, readonly state: RateState) {
    super("rate-limited", detail, { retryAfter: state.resetS });
  }
}

interface Count {
  value: number;
  leftMs: number;
}

/** Local counters. Beyond this the oldest are removed (`docs/limits.md`). */
const MAX_LOCAL = 50_000;
/** How long this node counts alone after the cache failed. */
const ALONE_MS = 1_000;

/**
 * Counts requests in fixed windows over all nodes. If the cache fails, each node counts alone, so limits are looser for
 * a while but still apply.
 */
export class RateLimiter {
  #local = new Map<string, { value: number; end: number }>();
  #aloneUntil = 0;

  constructor(private readonly cache: Cache, private readonly enabled: boolean) {}

  /** Counts one request of `key`; undefined if limits are off. Throws `rate-limited` over the limit. */
  check(name: LimitName, key: string): Promise<RateState | undefined> | RateState | undefined {
    if (!this.enabled) return undefined;
    const limit = LIMITS[name];
    const count = this.#count(cacheKey(name, key), 1, limit.windowS * 1000);
    return count instanceof Promise ? count.then((count) => judge(name, limit, count)) : judge(name, limit, count);
  }

  /** Counts without a limit; `by` may be negative. */
  async count(key: string, by: number, windowMs: number): Promise<Count> {
    return await this.#count(`rate:${hashed(key)}`, by, windowMs);
  }

  /** Undoes one request of `key`. */
  async undo(name: LimitName, key: string): Promise<void> {
    await this.#count(cacheKey(name, key), -1, LIMITS[name].windowS * 1000);
  }

  /** Resets the count of `key`. */
  async forget(name: LimitName, key: string): Promise<void> {
    const id = cacheKey(name, key);
    this.#local.delete(id);
    if (Date.now() >= this.#aloneUntil) await this.cache.delete(id).catch(() => {});
  }

  /** `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers). */
  headers({ limit, remaining, resetS, policy }: RateState): Record<string, string> {
    return {
      "ratelimit-policy": `"${policy.name}";q=${limit};w=${policy.windowS}`,
      "ratelimit": `"${policy.name}";r=${remaining};t=${resetS}`,
    };
  }

  #count(id: string, by: number, windowMs: number): Promise<Count> | Count {
    const now = Date.now();
    if (now < this.#aloneUntil) return this.#countAlone(id, by, windowMs, now);
    return this.cache.increment(id, by, windowMs).catch(() => {
      this.#aloneUntil = Date.now() + ALONE_MS;
      return this.#countAlone(id, by, windowMs, Date.now());
    });
  }

  #countAlone(id: string, by: number, windowMs: number, now: number): Count {
    const known = this.#local.get(id);
    if (known && known.end > now) return { value: known.value += by, leftMs: known.end - now };
    // Inserted again at its end, so that the map is ordered by window and its head is the oldest.
    this.#local.delete(id);
    this.#local.set(id, { value: by, end: now + windowMs });
    if (this.#local.size > MAX_LOCAL) {
      const oldest = this.#local.keys().next();
      if (!oldest.done) this.#local.delete(oldest.value);
    }
    return { value: by, leftMs: windowMs };
  }
}

function judge(name: LimitName, { limit, windowS }: Limit, { value, leftMs }: Count): RateState {
  const resetS = Math.max(1, Math.ceil(leftMs / 1000));
  const state = { limit, remaining: Math.max(0, limit - value), resetS, policy: { name, windowS } };
  if (value <= limit) return state;
  throw new RateLimited(`At most ${limit} requests in ${windowS} seconds count towards "${name}"`, state);
}

/** Account ids are not secret. Addresses, logins and emails are hashed before they go into the cache. */
function cacheKey(name: LimitName, key: string): string {
  return `rate:${name}:${name === "general_account" ? key : hashed(key)}`;
}

function hashed(key: string): string {
  return createHash("sha256").update(key).digest("base64url").slice(0, 27);
}
