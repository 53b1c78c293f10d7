import { VkFetch, type VkService } from "../../actors/vk_fetch.ts";
import type { Config } from "../../config.ts";
import type { Cache } from "../../lib/cache/cache.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { RedisCache } from "../../lib/cache/redis.ts";
import type { Sql } from "../../db/sql.ts";
import type { Log } from "../../lib/log.ts";
import type { Secret } from "../../security/secret.ts";
import { VkClient } from "../../services/vk/client.ts";
import { startFakeChild } from "../children/start_vk_fake.ts";
import { CallLimiter } from "../../services/vk/limiter.ts";
import { TokenVault } from "../../services/vk/vault.ts";

interface Parts {
  config: Config;
  log: Log;
  secret: Secret;
  sql: Sql;
  cache: Cache;
  stack: AsyncDisposableStack;
}

/** Responses cached in this process without Redis. Bounded, so that they do not evict rate limit counters. */
const MAX_ANSWERS = 2_000;

/** Undefined if VK is not configured: there is neither an address nor the embedded default. */
export async function openVk({ config, log, secret, sql, cache, stack }: Parts): Promise<VkService | undefined> {
  const { DATABASE_URL, REDIS_URL, NATS_URL, S3_URL } = config;
  const embedded = [DATABASE_URL, REDIS_URL, NATS_URL, S3_URL].every((url) => url === undefined);
  if (config.VK_API_URL === undefined && !embedded) return undefined;
  const fakeUrl = config.VK_API_URL === undefined ? stack.use(await startFakeChild(log)).url : undefined;
  // Without the prefix of other keys.
  const copies = REDIS_URL === undefined ? cache : stack.use(new RedisCache(REDIS_URL, { prefix: "" }));
  const vault = new TokenVault({ sql, copies, secret, log });
  const client = stack.use(
    new VkClient({
      url: config.VK_API_URL ?? fakeUrl!,
      limiter: stack.use(new CallLimiter(cache)),
      holderOf: (token) => secret.mac("vk-limits", token.reveal()),
      lang: config.VK_LANG,
    }),
  );
  const answers = REDIS_URL === undefined ? stack.use(new MemoryCache(MAX_ANSWERS)) : cache;
  const spare = stack.use(new MemoryCache(MAX_ANSWERS));
  return { vault, fetch: new VkFetch({ vault, client, cache: answers, spare, secret, log }), fakeUrl };
}
