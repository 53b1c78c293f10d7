import type { Bus } from "../../lib/bus/bus.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { Actors } from "../../actors/actors.ts";
import type { Config } from "../../config.ts";
import type { AppContext } from "../../context.ts";
import type { Cache } from "../../lib/cache/cache.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { startEmbedded } from "../../db/embedded/server.ts";
import { ANSWER_MS, connectPostgres } from "../../db/postgres.ts";
import { LEASE_MS } from "../../actors/runtime/node_lease.ts";
import { deleteAllNodes } from "../../db/nodes.ts";
import { pageOfPost } from "../../db/posts.ts";
import { endAllReceiptLeases } from "../../db/receipts.ts";
import { RedisCache } from "../../lib/cache/redis.ts";
import type { Sql } from "../../db/sql.ts";
import { READS } from "../../services/images/engine.ts";
import { Staging } from "../../services/images/staging.ts";
import { PhotoReadiness } from "../../services/images/photo_readiness.ts";
import { AccountSockets } from "../../live/account_sockets.ts";
import { type Consumers, deliver } from "../../live/consumers.ts";
import { EventStream } from "../../live/event_stream.ts";
import type { Gateway } from "../../live/gateway.ts";
import { publish, subjectOf } from "../../live/publisher.ts";
import type { Log } from "../../lib/log.ts";
import { Metrics } from "../../lib/metrics/metrics.ts";
import { buildApi } from "../../routes/app.ts";
import { type HttpServer, serveHttp } from "../../lib/http/server.ts";
import type { Api } from "../../routes/http/endpoint.ts";
import type { Membership } from "../../live/membership.ts";
import { joinNodes } from "./join_nodes.ts";
import { createAdministrator } from "./administrator.ts";
import { TrustedProxies } from "../../security/addresses.ts";
import { Keys } from "../../security/keys.ts";
import { AccountCache } from "../../actors/account_cache.ts";
import { Secret } from "../../security/secret.ts";
import { Tokens } from "../../security/tokens.ts";
import { LoggedStorage } from "../../services/storage/logged_storage.ts";
import { openStorage } from "../../services/storage/open.ts";
import type { Storage } from "../../services/storage/storage.ts";
import { openVk } from "./vk.ts";
import { type NodeActors, startActors } from "./actors.ts";
import { startHousekeeping } from "../../jobs/housekeeping.ts";
import { JobNotifier } from "../../jobs/notifier.ts";
import { JobRunner } from "../../jobs/runner.ts";
import { startJobs } from "./jobs.ts";
import { openBus } from "./bus.ts";
import { openDatabase, type RoleParts, type RunningRole } from "./role.ts";
import { expiryJobs } from "../../jobs/expiry.ts";
import { photoStorage, statistics } from "./services.ts";
import { photoResultJobs } from "../../jobs/photo_results.ts";
import { sleep, within } from "../../lib/sleep.ts";

export interface RunningNode {
  url: string;
  ctx: AppContext;
  /** Drains: accepts no new work, finishes work in progress, asks sockets to reconnect. Within 10 seconds. */
  stop(): Promise<void>;
}

export interface NodeOptions {
  /** Of the process; its own by default. */
  metrics?: Metrics;
  /** The node cannot continue. */
  onLost?: (reason: Error) => void;
  /** For tests (`db/postgres.ts`). */
  checkReads?: boolean;
  /** Shorter in tests. */
  intervals?: { heartbeatMs?: number; housekeepingMs?: number } | undefined;
}

/** Milliseconds that requests in progress get at a stop. */
const DRAIN_MS = 5_000;
/**
 * Milliseconds from a stop until proxies send nothing more: the bundled one looks every half second and believes the
 * second look. Then the node goes on answering until it got no request for a while.
 */
const NOTICED_MS = 1_000;
const QUIET_MS = 250;
const LINGER_MS = 2_500;
/** Milliseconds until open connections are ended that have no request in progress. */
const CLOSE_MS = 1_500;
const MAIN_CONNECTIONS = 12;
/** A renewal that takes longer than a lease is of no use. */
const LEASE_CONNECTION = { max: 2, applicationName: "rookery-lease", answerWithinMs: LEASE_MS };
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
  { metrics = new Metrics(), onLost = () => {}, checkReads = false, intervals = {} }: NodeOptions = {},
): Promise<RunningNode> {
  await using stack = new AsyncDisposableStack();
  const stores = await openStores(config, log, stack, checkReads);
  const { sql, cache } = stores;
  const events = await openEvents(stores, { config, log, stack });
  const { stream, consumers, committed, notifier } = events;
  const parts = { ...stores, config, log, stack };
  const leaseSql = stack.use(connectPostgres(stores.databaseUrl, LEASE_CONNECTION));
  const node = await startActors({ ...parts, ...events, leaseSql, checkReads });
  const actors = new Actors(node.router);
  const accounts = new AccountCache(sql, node.license);
  let reachedAt: string | null = null;
  const { gateway, deliveryBarrier, membership } = await joinNodes({
    ...parts,
    ...events,
    leaseSql,
    accounts,
    node,
    heartbeatMs: intervals.heartbeatMs,
    onForeign: (reason) => onLost(new Error(reason)),
    url: () => config.NODE_URL ?? reachedAt,
  });
  const { storageSpec, served, ...services } = await openServices(parts, consumers);

  const ctx: AppContext = {
    ...stores,
    ...services,
    ...derived(config, stores, services.storage),
    nodeId: node.id,
    config,
    log,
    actors,
    calls: node.calls,
    accounts,
    metrics,
    stream,
    gateway,
    accountSockets: stack.use(countSockets(node, cache, gateway)),
    deliveryBarrier,
    notifyJobs: (jobs) => notifier.notify(jobs),
    // Until it has its share of the actors and an administrator, only other nodes are answered.
    starting: true,
    draining: true,
  };
  await startBackground({ ctx, node, consumers, notifier, stack, housekeepingMs: intervals.housekeepingMs });
  const listening = Promise.withResolvers<string>();
  if (config.ROLES.includes("jobs")) {
    const publicUrl = () => listening.promise;
    const jobParts = { ...parts, notifier, storageSpec, storage: ctx.storage, publicUrl, onCommitted: committed };
    consumers.notifications = (await startJobs(jobParts)).heard;
  }

  const api = buildApi(ctx);
  const server = stack.use(serveApi(ctx, api));
  reachedAt = nodeUrl(server.addr);
  node.begin();
  await membership.renew();
  if (config.ROLES.includes("actors")) await createAdministrator(ctx);
  ctx.starting = ctx.draining = false;
  const url = config.PUBLIC_URL ?? urlOf(server.addr.hostname, server.addr.port);
  listening.resolve(url);
  served.resolve();
  const running = stack.move();
  return { url, ctx, stop: () => stopNode({ api, node, membership, server, running }) };
}

interface StopParts {
  api: Api;
  node: NodeActors;
  membership: Membership;
  server: HttpServer;
  running: AsyncDisposableStack;
}

/**
 * Finishes work in progress. Releases the actors first, so that other nodes take them over at once. Callers are
 * answered until the address refuses connections: a proxy sends what it refused to another node. It does not send a
 * write again whose connection was made and broken, as those are that nobody has accepted yet when the address closes.
 * So where other nodes are, it closes when proxies have seen that this one is not ready.
 */
async function stopNode({ api, node, membership, server, running }: StopParts): Promise<void> {
  const { ctx } = api;
  const begun = performance.now();
  ctx.draining = true;
  node.end();
  // Otherwise others would leave free partitions to this node for a while. Without Postgres they learn it later.
  await membership.renew().catch(() => {});
  await node.placement.leave();
  const stopped = node.stopServing();
  await ctx.gateway[Symbol.asyncDispose]();
  await stopped;
  if (node.directory.nodes.some(({ id }) => id !== node.id && node.directory.isLive(id))) {
    await noRequests(api.stats, begun);
  }
  const end = performance.now() + DRAIN_MS;
  const closed = server.shutdown();
  await within(CLOSE_MS, closed);
  // What remains is slow, or a body that does not arrive, which is not waited for.
  while (api.stats.underWay > 0 && performance.now() < end) await sleep(20);
  await ctx.actors.drain(end - performance.now());
  await running.disposeAsync();
}

/** Resolves when proxies send no more requests to the node, which stops since `begun`. */
async function noRequests(stats: Api["stats"], begun: number): Promise<void> {
  await sleep(begun + NOTICED_MS - performance.now());
  for (;;) {
    const now = performance.now();
    if (now - stats.lastAt >= QUIET_MS || now - begun >= LINGER_MS) return;
    await sleep(20);
  }
}

interface Stores {
  databaseUrl: string;
  sql: Sql;
  cache: Cache;
  bus: Bus;
  secret: Secret;
  keys: Keys;
}

/** Opens the stores and the bus of the node: embedded, or on servers. */
async function openStores(
  config: Config,
  log: Log,
  stack: AsyncDisposableStack,
  checkReads: boolean,
): Promise<Stores> {
  const embedded = config.DATABASE_URL === undefined;
  const databaseUrl = config.DATABASE_URL ?? stack.use(await startEmbedded(config.DATA_DIR, { log })).url;
  const sql = await openDatabase({ log, stack }, databaseUrl, {
    max: MAIN_CONNECTIONS,
    applicationName: "rookery",
    answerWithinMs: ANSWER_MS,
    checkReads,
  });
  // No other node can use this folder, so recorded nodes are gone.
  if (embedded) await Promise.all([endAllReceiptLeases(sql), deleteAllNodes(sql)]);
  const cache: Cache = stack.use(config.REDIS_URL ? new RedisCache(config.REDIS_URL) : new MemoryCache());
  const secret = await Secret.load(config.SECRET_KEY, config.DATA_DIR, config.SECRET_KEY_PREVIOUS);
  const bus = stack.use(openBus(config.NATS_URL, secret, log));
  const keys = stack.use(await Keys.load(sql, secret, log));
  return { databaseUrl, sql, cache, bus, secret, keys };
}

interface Events {
  stream: EventStream;
  consumers: Consumers;
  /** Events were committed here. */
  committed: (events: SequencedEvent[]) => void;
  notifier: JobNotifier;
}

/** Opens the event stream and the publishers of events and jobs. */
async function openEvents(
  { sql, bus }: Stores,
  { config, log, stack }: { config: Config; log: Log; stack: AsyncDisposableStack },
): Promise<Events> {
  const consumers: Consumers = {};
  const stream = stack.use(await EventStream.open(sql, log, (events) => deliver(consumers, events)));
  const notifier = stack.use(new JobNotifier(bus, stream.historyId, log));
  // With a single process the event stream replaces the bus.
  if (!config.NATS_URL) return { stream, consumers, notifier, committed: (events) => stream.offer(events) };
  await bus.subscribe(
    subjectOf(stream.historyId),
    (message) => stream.offer(JSON.parse(message) as SequencedEvent[]),
  );
  const committed = (events: SequencedEvent[]) => {
    stream.offer(events);
    publish(bus, stream.historyId, events);
  };
  return { stream, consumers, notifier, committed };
}

type ServiceParts = Stores & { config: Config; log: Log; stack: AsyncDisposableStack };

/** Opens the services that routes use. The statistics start when `served` resolves. */
async function openServices(parts: ServiceParts, consumers: Consumers) {
  const { log, stack } = parts;
  const storageSpec = await photoStorage(parts);
  const storage = stack.use(new LoggedStorage(openStorage(storageSpec), log));
  const vk = await openVk(parts);
  if (vk) consumers.vk = (events) => vk.fetch.absorb(events);
  const served = Promise.withResolvers<void>();
  // Nobody waits for it where the statistics are elsewhere.
  served.promise.catch(() => {});
  const stats = statistics({ ...parts, listening: served.promise });
  // A failed start must not leave callers waiting for the statistics.
  stack.defer(() => served.reject(new Error("The node stopped")));
  return { storageSpec, storage, vk, stats, served };
}

/** Parts that depend only on the settings and stores. */
function derived(config: Config, { sql, keys }: Stores, storage: Storage) {
  return {
    tokens: new Tokens(keys, { accessMs: config.ACCESS_TOKEN_TTL, refreshMs: config.REFRESH_TOKEN_TTL }),
    photos: { staging: new Staging(storage, sql, READS[config.IMAGE_ENGINE]), waiting: new PhotoReadiness(sql) },
    pageOfPost: rememberingPages(sql),
  };
}

function countSockets({ id, directory }: NodeActors, cache: Cache, gateway: Gateway): AccountSockets {
  return new AccountSockets({
    cache,
    id,
    others: () => directory.nodes.map((node) => node.id).filter((other) => other !== id && directory.isLive(other)),
    counts: () => gateway.socketCounts(),
  });
}

interface BackgroundParts {
  ctx: AppContext;
  node: NodeActors;
  consumers: Consumers;
  notifier: JobNotifier;
  stack: AsyncDisposableStack;
  housekeepingMs: number | undefined;
}

/** Starts work that no request waits for: jobs that send commands, and housekeeping. */
async function startBackground(
  { ctx, node, consumers, notifier, stack, housekeepingMs }: BackgroundParts,
): Promise<void> {
  const { config, sql, log, actors } = ctx;
  const photos = ctx.photos.waiting;
  // A photo was processed on another node.
  consumers.photos = (events) => {
    if (events.some(({ kind }) => kind.startsWith("post."))) photos.changed();
  };
  if (config.ROLES.includes("actors")) {
    // Jobs that only send commands run where actors are.
    const onActors = stack.use(
      new JobRunner(sql, {
        ...expiryJobs(actors, { verifiedOnly: config.REQUIRE_VERIFIED_EMAIL }),
        ...photoResultJobs({ sql, actors, readiness: photos }),
      }, log),
    );
    await notifier.subscribe("actors", (jobs) => onActors.offer(jobs));
    const isMine = () => node.single("housekeeping") !== undefined;
    const housekeeping = { sql, log, eventRetentionMs: config.EVENT_RETENTION, everyMs: housekeepingMs };
    stack.use(startHousekeeping({ ...housekeeping, isMine }));
  }
}

function serveApi({ config, log }: AppContext, { app }: Api): HttpServer {
  const proxies = new TrustedProxies(config.TRUSTED_PROXIES, config.PUBLIC_URL);
  return serveHttp(
    { hostname: config.HOST, port: config.PORT, log, accessLog: config.ACCESS_LOG },
    (request, address, peer) => app.fetch(request, { ...proxies.origin(request.headers, address), peer }),
  );
}

/** The URL of a server for other nodes: by the machine's name if it listens on all addresses. */
function nodeUrl({ hostname, port }: Deno.NetAddr): string {
  return urlOf(hostname === "0.0.0.0" || hostname === "::" ? Deno.hostname() : hostname, port);
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
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
