import { Actors } from "../../actors/actors.ts";
import type { ActorRouter } from "../../actors/runtime/router.ts";
import type { Bus } from "../../lib/bus/bus.ts";
import { LocalPartitionLeases } from "../../actors/runtime/local_partition_leases.ts";
import { Pool } from "../../actors/runtime/pool.ts";
import type { EventKind, SequencedEvent } from "../../db/event.ts";
import { serveActors } from "../../actors/runtime/serve_actors.ts";
import { startWorkerThread } from "../threads/start_actors.ts";
import type { AccountSnapshot } from "../../db/users.ts";
import type { Config } from "../../config.ts";
import type { Sql } from "../../db/sql.ts";
import { ActiveFeeds } from "../../live/active_feeds.ts";
import type { Consumers } from "../../live/consumers.ts";
import type { EventStream } from "../../live/event_stream.ts";
import { HostedActors } from "../../live/hosted_actors.ts";
import { LikeEventEmitter } from "../../live/like_event_emitter.ts";
import { accountsSubject } from "../../live/publisher.ts";
import type { Log } from "../../lib/log.ts";
import { AccountCache } from "../../actors/account_cache.ts";
import type { JobNotifier } from "../../jobs/notifier.ts";

interface ActorParts {
  config: Config;
  log: Log;
  sql: Sql;
  bus: Bus;
  stream: EventStream;
  consumers: Consumers;
  notifier: JobNotifier;
  stack: AsyncDisposableStack;
  databaseUrl: string;
  codeKey: Uint8Array;
  checkReads: boolean;
  /** Events were committed here. */
  committed: (events: SequencedEvent[]) => void;
  lost: (reason: string) => void;
}

/** Events that concern no actor. The feed of a person who likes is refreshed with the reply. */
const FOR_SOCKETS: ReadonlySet<EventKind> = new Set(["notification", "notifications.read", "post.liked"]);

/**
 * The role `actors`: this process has all actors until the parts' stack ends. Nodes without the role reach them over
 * the bus.
 */
export async function startActors(
  { config, log, sql, bus, stream, consumers, notifier, stack, databaseUrl, codeKey, checkReads, committed, lost }:
    ActorParts,
): Promise<{
  router: ActorRouter;
  accounts: AccountCache;
  /** Stops accepting requests from other nodes. Earlier ones are still answered. */
  leave: () => Promise<void>;
}> {
  const likes = stack.use(new LikeEventEmitter(sql, log, committed));
  const accounts: AccountCache = new AccountCache(() => own, sql);
  const pool: Pool = stack.use(
    await Pool.start({
      threads: config.WORKERS,
      start: () => startWorkerThread({ databaseUrl, codeKey, checkReads }),
      leases: stack.use(new LocalPartitionLeases(sql)),
      log,
      onCommitted: committed,
      applied: (seq) => stream.applied(seq),
      onSnapshot: (ref, value) => accounts.changed(ref.id, value as AccountSnapshot | null),
      onJobs: (jobs) => notifier.notify(jobs),
      onPartitionsMoved: (partitions) => accounts.forget(partitions),
      onFenced: (partition) => lost(`Partition ${partition} was taken by another node; this one stops`),
    }),
  );
  const own = new Actors(pool);
  const feeds = new ActiveFeeds(() => pool);
  consumers.actors = (events) => {
    // Events of posts concern feeds only, and notifications no actor. Other events concern pages and users, too.
    const wanted = events.filter(({ kind }) => !FOR_SOCKETS.has(kind) && (feeds.any || !kind.startsWith("post.")));
    if (wanted.length > 0) pool.events(wanted);
  };
  consumers.accounts = (events) => {
    for (const { kind, user_id } of events) if (kind === "account.changed" && user_id) void accounts.renew(user_id);
  };
  const router = new HostedActors(pool, feeds, likes, stream);
  if (!config.NATS_URL) return { router, accounts, leave: () => Promise.resolve() };
  accounts.onChange((userId) => void bus.publish(accountsSubject(stream.historyId), userId).catch(() => {}));
  const serving = await serveActors({ bus, history: stream.historyId, actors: router, stream, log });
  return { router, accounts, leave: async () => await serving[Symbol.asyncDispose]() };
}
