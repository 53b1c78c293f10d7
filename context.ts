import type { Actors } from "./actors/actors.ts";
import type { CallServer } from "./actors/runtime/serve_calls.ts";
import type { Bus } from "./lib/bus/bus.ts";
import type { Config } from "./config.ts";
import type { Cache } from "./lib/cache/cache.ts";
import type { JobRef } from "./db/jobs.ts";
import type { Sql } from "./db/sql.ts";
import type { Staging } from "./services/images/staging.ts";
import type { PhotoReadiness } from "./services/images/photo_readiness.ts";
import type { AccountSockets } from "./live/account_sockets.ts";
import type { DeliveryBarrier } from "./live/delivery_barrier.ts";
import type { EventStream } from "./live/event_stream.ts";
import type { Gateway } from "./live/gateway.ts";
import type { Log } from "./lib/log.ts";
import type { Metrics } from "./lib/metrics/metrics.ts";
import type { Accounts } from "./actors/account_cache.ts";
import type { Keys } from "./security/keys.ts";
import type { Secret } from "./security/secret.ts";
import type { Tokens } from "./security/tokens.ts";
import type { StatsClient } from "./services/stats/client.ts";
import type { Storage } from "./services/storage/storage.ts";
import type { VkService } from "./actors/vk_fetch.ts";

/** What every process that answers requests has. The key–value store has only this. */
export interface ServiceContext {
  readonly config: Config;
  readonly log: Log;
  readonly sql: Sql;
  readonly cache: Cache;
  readonly secret: Secret;
  readonly tokens: Pick<Tokens, "verify">;
  readonly accounts: Pick<Accounts, "authenticate">;
  readonly metrics: Metrics;
  /** Set until a node has started: nobody is answered. */
  starting: boolean;
  /** Set as well once the process is stopping: it is not ready, and accepts no more live sockets. */
  draining: boolean;
}

/** What a route may use. Built once, in `workers/roles/node.ts`; tests may build their own. */
export interface AppContext extends ServiceContext {
  /** This node, for as long as its process lives. */
  readonly nodeId: string;
  readonly bus: Bus;
  readonly actors: Actors;
  /** Answers calls of other nodes. */
  readonly calls: CallServer;
  readonly accounts: Accounts;
  readonly keys: Keys;
  readonly tokens: Tokens;
  readonly stream: EventStream;
  readonly gateway: Gateway;
  /** The sockets of an account on all nodes. */
  readonly accountSockets: AccountSockets;
  /** All listeners, on this node and others. */
  readonly deliveryBarrier: DeliveryBarrier;
  readonly storage: Storage;
  /** Undefined if VK is not configured. */
  readonly vk: VkService | undefined;
  readonly stats: StatsClient;
  readonly photos: { staging: Staging; waiting: PhotoReadiness };
  /** Announces committed jobs that are due now. */
  notifyJobs(jobs: readonly JobRef[]): void;
  /** The page of a post. Cached, because a post never changes its page. */
  pageOfPost(postId: string): Promise<string | undefined>;
}
