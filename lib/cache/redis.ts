import { Redis } from "ioredis";
import { type Cache, CacheUnavailable } from "./cache.ts";

/** The window starts with the first call. A key without a time to live, written by somebody else, gets one too. */
const INCREMENT = `
local value = redis.call("INCRBY", KEYS[1], ARGV[1])
local left = redis.call("PTTL", KEYS[1])
if left < 0 then
  redis.call("PEXPIRE", KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return {value, left}`;

const TAKE = `
local value = redis.call("GET", KEYS[1])
if value then redis.call("DEL", KEYS[1]) end
return value`;

/** The two scripts as commands; `ioredis` sends their digest, and their text once. */
interface Commands {
  rookeryIncrement(key: string, by: number, ttlMs: number): Promise<[number, number]>;
  rookeryTake(key: string): Promise<string | null>;
}

/** Default prefix of the keys of an installation. */
const PREFIX = "rookery:";
const SCAN_BATCH = 500;

/**
 * Deletes the cache keys with this prefix, and these queues. Other keys of the server stay, including keys that begin
 * with `spared`: queues of other installations. Throws if the server does not answer.
 */
export async function clearRedis(
  url: string,
  { queues, spared, prefix = PREFIX }: { queues: readonly string[]; spared: string; prefix?: string },
): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 5_000,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
  });
  redis.on("error", () => {});
  try {
    await redis.connect();
    if (queues.length > 0) await redis.unlink(...queues);
    const pattern = `${prefix.replaceAll(/[\\*?[\]]/g, "\\$&")}*`;
    for (let cursor = "0", begun = false; !begun || cursor !== "0"; begun = true) {
      const [next, found] = await redis.scan(cursor, "MATCH", pattern, "COUNT", SCAN_BATCH);
      const keys = found.filter((key) => !key.startsWith(spared));
      if (keys.length > 0) await redis.unlink(...keys);
      cursor = next;
    }
  } finally {
    redis.disconnect();
  }
}

export interface RedisCacheOptions {
  /** A call rejects with `CacheUnavailable` after this many milliseconds; 500 by default. */
  timeout?: number;
  /** Prefix of every key, for installations that share a server. */
  prefix?: string;
}

/** Connects at the first call and reconnects after a loss. Without a connection, calls reject at once. */
export class RedisCache implements Cache {
  private readonly redis: Redis & Commands;
  private waiting: Promise<void> | undefined;

  constructor(url: string, options: RedisCacheOptions = {}) {
    const timeout = options.timeout ?? 500;
    this.redis = new Redis(url, {
      lazyConnect: true,
      keyPrefix: options.prefix ?? PREFIX,
      connectTimeout: timeout,
      commandTimeout: timeout,
      // A command that waited for a connection would run after its caller has given up.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt: number) => Math.min(50 * attempt, 1000),
      scripts: {
        rookeryIncrement: { lua: INCREMENT, numberOfKeys: 1 },
        rookeryTake: { lua: TAKE, numberOfKeys: 1 },
      },
    }) as Redis & Commands;
    // Without a listener a lost server would end the process. The calls report the loss.
    this.redis.on("error", () => {});
  }

  get(key: string): Promise<string | null> {
    return this.call(() => this.redis.get(key));
  }

  async set(key: string, value: string, ttlMs: number, options: { onlyNew?: boolean } = {}): Promise<boolean> {
    const stored = await this.call(() =>
      options.onlyNew ? this.redis.set(key, value, "PX", ttlMs, "NX") : this.redis.set(key, value, "PX", ttlMs)
    );
    return stored === "OK";
  }

  take(key: string): Promise<string | null> {
    return this.call(() => this.redis.rookeryTake(key));
  }

  async delete(key: string): Promise<void> {
    await this.call(() => this.redis.del(key));
  }

  async increment(key: string, by: number, ttlMs: number): Promise<{ value: number; leftMs: number }> {
    const [value, leftMs] = await this.call(() => this.redis.rookeryIncrement(key, by, ttlMs));
    return { value, leftMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.redis.disconnect();
  }

  private async call<T>(command: () => Promise<T>): Promise<T> {
    try {
      if (this.redis.status === "wait") await this.redis.connect().catch(() => {});
      // A first connection in progress is worth waiting for; `connectTimeout` limits the wait.
      else if (this.redis.status === "connecting" || this.redis.status === "connect") await this.ready();
      return await command();
    } catch (error) {
      throw new CacheUnavailable(error instanceof Error ? error.message : String(error));
    }
  }

  /** One promise for all waiting callers, as listeners are counted. */
  private ready(): Promise<void> {
    return this.waiting ??= new Promise((resolve) => {
      const done = () => {
        this.redis.off("ready", done).off("close", done);
        this.waiting = undefined;
        resolve();
      };
      this.redis.once("ready", done).once("close", done);
    });
  }
}
