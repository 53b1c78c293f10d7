import { LocalBus } from "../../lib/bus/local.ts";
import type { Bus } from "../../lib/bus/bus.ts";
import { NatsBus } from "../../lib/bus/nats.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { Actors } from "../../actors/actors.ts";
import { RemoteActors } from "../../actors/runtime/remote_actors.ts";
import type { Config } from "../../config.ts";
import type { AppContext } from "../../context.ts";
import type { Cache } from "../../lib/cache/cache.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { startEmbedded } from "../../db/embedded/server.ts";
import { connectPostgres } from "../../db/postgres.ts";
import { deleteAllNodes } from "../../db/nodes.ts";
import { pageOfPost } from "../../db/posts.ts";
import { endAllReceiptLeases } from "../../db/receipts.ts";
import { RedisCache } from "../../lib/cache/redis.ts";
import type { Sql } from "../../db/sql.ts";
import { READS } from "../../services/images/engine.ts";
import { Staging } from "../../services/images/staging.ts";
import { PhotoReadiness } from "../../services/images/photo_readiness.ts";
import { acknowledgementSubject, type DeliveryBarrier, SharedDeliveryBarrier } from "../../live/delivery_barrier.ts";
import { type Consumers, deliver } from "../../live/consumers.ts";
import { EventStream } from "../../live/event_stream.ts";
import { Gateway } from "../../live/gateway.ts";
import { SendLease } from "../../live/send_lease.ts";
import { Membership } from "../../live/membership.ts";
import { accountsSubject, publish, subjectOf } from "../../live/publisher.ts";
import type { Log } from "../../lib/log.ts";
import { Metrics } from "../../lib/metrics/metrics.ts";
import { buildApi } from "../../routes/app.ts";
import { serveHttp } from "../../lib/http/server.ts";
import { createAdministrator } from "./administrator.ts";
import { TrustedProxies } from "../../security/addresses.ts";
import { Keys } from "../../security/keys.ts";
import { AccountReader } from "../../actors/account_cache.ts";
import { Secret } from "../../security/secret.ts";
import { Tokens } from "../../security/tokens.ts";
import { LoggedStorage } from "../../services/storage/logged_storage.ts";
import { openStorage } from "../../services/storage/open.ts";
import { openVk } from "./vk.ts";
import { startActors } from "./actors.ts";
import { startHousekeeping } from "../../jobs/housekeeping.ts";
import { JobNotifier } from "../../jobs/notifier.ts";
import { JobRunner } from "../../jobs/runner.ts";
import { startJobs } from "./jobs.ts";
import { openDatabase, type RoleParts, type RunningRole } from "./role.ts";
import { expiryJobs } from "../../jobs/expiry.ts";
import { photoStorage, statistics } from "./services.ts";
import { photoResultJobs } from "../../jobs/photo_results.ts";
import { within } from "../../lib/sleep.ts";

export interface RunningNode {
  url: string;
  ctx: AppContext;
  /** Drains: accepts no new work, finishes work in progress, asks sockets to reconnect. Within 10 seconds. */
  stop(): Promise<void>;
}

export interface NodeOptions {
  /** Another node took over, so this one cannot continue. */
  onLost?: (reason: Error) => void;
  /** Of the process; its own by default. */
  metrics?: Metrics;
  /** For tests (`db/postgres.ts`). */
  checkReads?: boolean;
  /** Shorter in tests. */
  intervals?: { heartbeatMs?: number; housekeepingMs?: number } | undefined;
}

/** Milliseconds that requests in progress get at a stop. */
const DRAIN_MS = 5_000;
const MAIN_CONNECTIONS = 12;
const POSTS_REMEMBERED = 50_000;

/** `ROLES` with `api`: a node. */
export async function nodeRole({ config, log, metrics, onLost }: RoleParts): Promise<RunningRole> {
  const { url, ctx, stop } = await startNode(config, log, { metrics, onLost });
  const ready = [`Rookery is ready at ${url}`];
  const fakeUrl = ctx.vk?.fakeUrl;
  if (fakeUrl) ready.push(`VK is the bundled fake at ${fakeUrl}; for the real one, set VK_API_URL=https://api.vk.ru`);
  return { ready, [Symbol.asyncDispose]: stop };
}

/** Starts a node from its settings, each part on the ones before it. A failure stops all parts that were started. */
export async function startNode(
  config: Config,
  log: Log,
  { onLost = () => {}, metrics = new Metrics(), checkReads = false, intervals = {} }: NodeOptions = {},
): Promise<RunningNode> {
  await using stack = new AsyncDisposableStack();
  const lost = (reason: string) => onLost(new Error(reason));

  const embedded = config.DATABASE_URL === undefined;
  const databaseUrl = config.DATABASE_URL ?? stack.use(await startEmbedded(config.DATA_DIR, { log })).url;
  const sql = await openDatabase({ log, stack }, databaseUrl, {
    max: MAIN_CONNECTIONS,
    applicationName: "rookery",
    checkReads,
  });
  // No other node can use this folder, so recorded nodes are gone.
  if (embedded) await Promise.all([endAllReceiptLeases(sql), deleteAllNodes(sql)]);
  const cache: Cache = stack.use(config.REDIS_URL ? new RedisCache(config.REDIS_URL) : new MemoryCache());
  const bus: Bus = stack.use(config.NATS_URL ? new NatsBus(config.NATS_URL, { log }) : new LocalBus({ log }));
  const secret = await Secret.load(config.SECRET_KEY, config.DATA_DIR, config.SECRET_KEY_PREVIOUS);
  const keys = stack.use(await Keys.load(sql, secret, log));

  const consumers: Consumers = {};
  const stream = stack.use(await EventStream.open(sql, log, (events) => deliver(consumers, events)));
  const committed = (events: SequencedEvent[]) => {
    stream.offer(events);
    // With a single process the event stream replaces the bus.
    if (config.NATS_URL) publish(bus, stream.historyId, events);
  };
  const notifier = stack.use(new JobNotifier(bus, stream.historyId, log));
  const parts = { config, log, secret, sql, databaseUrl, stack };
  const hosted = config.ROLES.includes("actors")
    ? await startActors({
      ...parts,
      bus,
      stream,
      consumers,
      notifier,
      codeKey: secret.subkey("codes"),
      checkReads,
      committed,
      lost,
    })
    : undefined;
  const router = hosted?.router ?? stack.use(new RemoteActors({ bus, history: stream.historyId, stream }));
  const actors = new Actors(router);
  const accounts = hosted?.accounts ?? new AccountReader(sql);
  if (config.NATS_URL) {
    await bus.subscribe(
      subjectOf(stream.historyId),
      (message) => stream.offer(JSON.parse(message) as SequencedEvent[]),
    );
  }
  const { gateway, deliveryBarrier } = await openGateway({
    ...parts,
    bus,
    stream,
    consumers,
    heartbeatMs: intervals.heartbeatMs,
  });
  if (hosted) hosted.accounts.onChange((userId, snapshot) => gateway.accountChanged(userId, snapshot));
  else await bus.subscribe(accountsSubject(stream.historyId), (userId) => gateway.recheckAccounts(userId));

  const storageSpec = await photoStorage(parts);
  const storage = stack.use(new LoggedStorage(openStorage(storageSpec), log));
  const vk = await openVk({ ...parts, cache });
  if (vk) consumers.vk = (events) => vk.fetch.absorb(events);
  const served = Promise.withResolvers<void>();
  const stats = statistics({ config, log, databaseUrl, stack, listening: served.promise });
  // A failed start must not leave callers waiting for the statistics.
  stack.defer(() => served.reject(new Error("The node stopped")));

  const ctx: AppContext = {
    config,
    log,
    sql,
    cache,
    bus,
    actors,
    accounts,
    metrics,
    secret,
    keys,
    tokens: new Tokens(keys, { accessMs: config.ACCESS_TOKEN_TTL, refreshMs: config.REFRESH_TOKEN_TTL }),
    stream,
    gateway,
    deliveryBarrier,
    storage,
    vk,
    stats,
    photos: { staging: new Staging(storage, sql, READS[config.IMAGE_ENGINE]), waiting: new PhotoReadiness(sql) },
    notifyJobs: (jobs) => notifier.notify(jobs),
    pageOfPost: rememberingPages(sql),
    draining: false,
  };

  if (hosted) {
    // Jobs that only send commands run where the actors are.
    const onActors = stack.use(
      new JobRunner(sql, {
        ...expiryJobs(actors, { verifiedOnly: config.REQUIRE_VERIFIED_EMAIL }),
        ...photoResultJobs({ sql, actors, readiness: ctx.photos.waiting }),
      }, log),
    );
    await notifier.subscribe("actors", (jobs) => onActors.offer(jobs));
    stack.use(
      startHousekeeping({ sql, log, eventRetentionMs: config.EVENT_RETENTION, everyMs: intervals.housekeepingMs }),
    );
  }
  const listening = Promise.withResolvers<string>();
  if (config.ROLES.includes("jobs")) {
    const publicUrl = () => listening.promise;
    const { heard } = await startJobs({ ...parts, notifier, storageSpec, storage, publicUrl, onCommitted: committed });
    consumers.notifications = heard;
  }

  const api = buildApi(ctx);
  if (hosted) await createAdministrator(ctx);
  const proxies = new TrustedProxies(config.TRUSTED_PROXIES, config.PUBLIC_URL);
  const server = stack.use(serveHttp(
    { hostname: config.HOST, port: config.PORT, log, accessLog: config.ACCESS_LOG },
    (request, address, peer) => api.app.fetch(request, { ...proxies.origin(request.headers, address), peer }),
  ));
  const url = config.PUBLIC_URL ??
    `http://${
      server.addr.hostname.includes(":") ? `[${server.addr.hostname}]` : server.addr.hostname
    }:${server.addr.port}`;
  listening.resolve(url);
  served.resolve();
  const running = stack.move();

  return {
    url,
    ctx,
    async stop() {
      ctx.draining = true;
      const leaving = hosted?.leave();
      await gateway[Symbol.asyncDispose]();
      await leaving;
      await actors.drain(DRAIN_MS);
      await within(1_500, server.shutdown());
      await running.disposeAsync();
    },
  };
}

/** Opens the node's gateway and registers the node among those with sockets. */
async function openGateway(
  { databaseUrl, log, sql, bus, stream, consumers, heartbeatMs, stack }: {
    databaseUrl: string;
    log: Log;
    sql: Sql;
    bus: Bus;
    stream: EventStream;
    consumers: Consumers;
    heartbeatMs: number | undefined;
    stack: AsyncDisposableStack;
  },
): Promise<{ gateway: Gateway; deliveryBarrier: DeliveryBarrier }> {
  const lease = new SendLease();
  const gateway = stack.use(new Gateway(sql, stream, log, lease, heartbeatMs));
  // Synchronously after its creation, so that it misses no event.
  consumers.gateway = (events) => gateway.offer(events);
  // A dedicated connection, so that a busy pool never costs the lease.
  const own = stack.use(connectPostgres(databaseUrl, { max: 1, applicationName: "rookery-lease" }));
  const membership = stack.use(await Membership.join({ sql: own, stream, gateway, lease, log }));
  const history = stream.historyId;
  await bus.subscribe(acknowledgementSubject(history), () => void membership.acknowledgeLatest());
  return { gateway, deliveryBarrier: new SharedDeliveryBarrier({ sql, bus, history, membership }) };
}

/** Caches the page of a post, which never changes. */
function rememberingPages(sql: Sql): (postId: string) => Promise<string | undefined> {
  const pages = new Map<string, string>();
  return async (postId) => {
    const known = pages.get(postId);
    if (known !== undefined) return known;
    const page = await pageOfPost(sql, postId);
    if (page === undefined) return undefined;
    if (pages.size >= POSTS_REMEMBERED) pages.clear();
    pages.set(postId, page);
    return page;
  };
}
