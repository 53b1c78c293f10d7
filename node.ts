import { resolve } from "node:path";
import { LocalLeases } from "./actors/runtime/local_leases.ts";
import { LocalBus } from "./actors/runtime/local_bus.ts";
import type { Bus } from "./actors/runtime/bus.ts";
import { NatsBus } from "./actors/runtime/nats_bus.ts";
import { Pool } from "./actors/runtime/pool.ts";
import type { SequencedEvent } from "./actors/runtime/protocol.ts";
import { startWorkerThread } from "./actors/runtime/worker_thread.ts";
import type { UserFacet } from "./actors/user.ts";
import type { Config } from "./config.ts";
import type { AppContext } from "./context.ts";
import type { Cache } from "./db/cache.ts";
import { MemoryCache } from "./db/memory_cache.ts";
import { migrate } from "./db/migrate.ts";
import { openPglite } from "./db/pglite.ts";
import { connectPostgres } from "./db/postgres.ts";
import { pageOfPost } from "./db/posts.ts";
import { RedisCache } from "./db/redis_cache.ts";
import { serveSql, socketPath } from "./db/socket.ts";
import type { Sql } from "./db/sql.ts";
import { READS } from "./images/engine.ts";
import { Staging } from "./images/staging.ts";
import { PhotoWaiting } from "./images/waiting.ts";
import { ActiveFeeds } from "./live/active_feeds.ts";
import { EventStream } from "./live/event_stream.ts";
import { Gateway } from "./live/gateway.ts";
import { LikeTeller } from "./live/like_teller.ts";
import { publish, subjectOf } from "./live/publisher.ts";
import type { Log } from "./log.ts";
import { buildApi } from "./routes/app.ts";
import { createAdministrator } from "./security/administrator.ts";
import { Keys } from "./security/keys.ts";
import { Principals } from "./security/principals.ts";
import { Secret } from "./security/secret.ts";
import { Tokens } from "./security/tokens.ts";
import { openStorage } from "./storage/open.ts";
import { openVk } from "./vk/open.ts";
import { startHousekeeping } from "./workers/housekeeping.ts";
import { JobBell } from "./workers/job_bell.ts";
import { JobRunner } from "./workers/job_runner.ts";
import { startJobs } from "./workers/jobs_role.ts";
import { lapseJobs } from "./workers/lapse_jobs.ts";
import { photoStorage, statistics } from "./workers/services.ts";
import { settleJobs } from "./workers/settle_jobs.ts";

export interface RunningNode {
  url: string;
  ctx: AppContext;
  /** Drains: no new work, what is under way ends, sockets are told to come back. Within 10 seconds. */
  stop(): Promise<void>;
}

export interface NodeOptions {
  /** The node has lost what it cannot run without: another node took over, or the embedded database died. */
  onLost?: (reason: Error) => void;
}

/** Milliseconds that requests under way get at a stop. */
const DRAIN_MS = 5_000;
const MAIN_CONNECTIONS = 12;
const POSTS_REMEMBERED = 50_000;

/** Builds a node from its settings, each part on the ones before it; whatever fails takes down what stands already. */
export async function startNode(
  config: Config,
  log: Log,
  { onLost = () => {} }: NodeOptions = {},
): Promise<RunningNode> {
  await using stack = new AsyncDisposableStack();
  const lost = (reason: string) => onLost(new Error(reason));

  const { sql, workerDatabase, sqlSocket } = await openDatabase(config, stack, lost);
  const applied = await migrate(sql);
  if (applied.length > 0) log.info("migrations applied", { applied });
  const cache: Cache = stack.use(config.REDIS_URL ? new RedisCache(config.REDIS_URL) : new MemoryCache());
  const bus: Bus = stack.use(config.NATS_URL ? new NatsBus(config.NATS_URL, { log }) : new LocalBus({ log }));
  const leases = stack.use(new LocalLeases(sql));
  const secret = await Secret.load(config.SECRET_KEY, config.DATA_DIR, config.SECRET_KEY_PREVIOUS);
  const keys = stack.use(await Keys.load(sql, secret, log));

  const stream = stack.use(await EventStream.open(sql, log));
  const committed = (events: SequencedEvent[]) => {
    stream.offer(events);
    // In one process the stream itself is the bus.
    if (config.NATS_URL) publish(bus, stream.epoch, events);
  };
  const likes = stack.use(new LikeTeller(sql, log, committed));
  const principals: Principals = new Principals(() => actors, sql);
  const codeKey = secret.subkey("codes");
  const bell = stack.use(new JobBell(bus, stream.epoch, log));
  const actors: Pool = stack.use(
    await Pool.start({
      threads: config.WORKERS,
      start: () => startWorkerThread({ database: workerDatabase(), codeKey }),
      leases,
      log,
      onCommitted: committed,
      applied: (seq) => stream.applied(seq),
      onFacet: (ref, value) => principals.changed(ref.id, value as UserFacet | null),
      onJobs: (jobs) => bell.ring(jobs),
      onPartitionsMoved: (partitions) => principals.forget(partitions),
      onFenced: (partition) => lost(`Partition ${partition} was taken by another node; this one stops`),
    }),
  );
  const feeds = new ActiveFeeds(() => actors);
  stream.consume((events) => {
    // What happens to posts concerns only feeds, and no actor what people are told; the rest concerns pages and people too.
    const wanted = events.filter(({ kind }) => kind !== "notification" && (feeds.any || !kind.startsWith("post.")));
    if (wanted.length > 0) actors.events(wanted);
  });
  if (config.NATS_URL) {
    await bus.subscribe(subjectOf(stream.epoch), (message) => stream.offer(JSON.parse(message) as SequencedEvent[]));
  }
  const gateway = stack.use(new Gateway(sql, stream, log));
  principals.onChange((userId, facet) => gateway.accountChanged(userId, facet));

  const parts = { config, log, secret, sql, sqlSocket, stack };
  const storageSpec = await photoStorage(parts);
  const storage = stack.use(openStorage(storageSpec));
  const vk = await openVk({ ...parts, cache });
  if (vk) stream.consume((events) => vk.fetch.absorb(events));
  const here = Promise.withResolvers<string>();
  const stats = statistics({ config, log, sqlSocket, stack, apiUrl: here.promise });
  // A node that fails to start leaves nobody waiting for its address.
  stack.defer(() => here.reject(new Error("The node stopped")));

  const ctx: AppContext = {
    config,
    log,
    sql,
    cache,
    bus,
    actors,
    principals,
    secret,
    keys,
    tokens: new Tokens(keys, { accessMs: config.ACCESS_TOKEN_TTL, refreshMs: config.REFRESH_TOKEN_TTL }),
    stream,
    gateway,
    feeds,
    storage,
    vk,
    stats,
    photos: { staging: new Staging(storage, sql, READS[config.IMAGE_ENGINE]), waiting: new PhotoWaiting(sql) },
    ring: (jobs) => bell.ring(jobs),
    likesChanged: () => likes.hint(),
    pageOfPost: rememberingPages(sql),
    draining: false,
  };

  // What only tells an actor is done where the actors are.
  const telling = stack.use(new JobRunner(sql, { ...lapseJobs(ctx), ...settleJobs(ctx) }, log));
  await bell.onRing("actors", (jobs) => telling.offer(jobs));
  const listening = Promise.withResolvers<string>();
  if (config.ROLES.includes("jobs")) {
    const publicUrl = () => listening.promise;
    const { heard } = await startJobs({ ...parts, bell, storageSpec, storage, publicUrl, onTold: committed });
    stream.consume(heard);
  }
  stack.use(startHousekeeping(ctx));

  const api = buildApi(ctx);
  await createAdministrator(ctx);
  const server = Deno.serve(
    { hostname: config.HOST, port: config.PORT, onListen: () => {}, onError: (error) => failed(error, log) },
    (request, { remoteAddr }) =>
      api.app.fetch(request, { address: "hostname" in remoteAddr ? remoteAddr.hostname : "local" }),
  );
  const url = config.PUBLIC_URL ??
    `http://${
      server.addr.hostname.includes(":") ? `[${server.addr.hostname}]` : server.addr.hostname
    }:${server.addr.port}`;
  listening.resolve(url);
  here.resolve(localUrl(server.addr));
  const running = stack.move();

  return {
    url,
    ctx,
    async stop() {
      ctx.draining = true;
      await gateway[Symbol.asyncDispose]();
      await actors.drain(DRAIN_MS);
      await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, 1_500))]);
      await running.disposeAsync();
    },
  };
}

interface Database {
  sql: Sql;
  workerDatabase: () => { url: string } | { port: MessagePort };
  /** Where children reach the embedded database. */
  sqlSocket: string | undefined;
}

async function openDatabase(
  config: Config,
  stack: AsyncDisposableStack,
  lost: (reason: string) => void,
): Promise<Database> {
  const { DATABASE_URL: url, DATA_DIR: dataDir } = config;
  if (url !== undefined) {
    const sql = stack.use(connectPostgres(url, { max: MAIN_CONNECTIONS, applicationName: "rookery" }));
    return { sql, workerDatabase: () => ({ url }), sqlSocket: undefined };
  }
  await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
  const embedded = stack.use(await openPglite(dataDir));
  void embedded.ended.then((reason) => lost(`The embedded database ended: ${reason}`));
  stack.use(serveSql(embedded, `${dataDir}/socket`));
  // Absolute, since a child's permissions name it.
  const sqlSocket = resolve(await socketPath(dataDir));
  return { sql: embedded, workerDatabase: () => ({ port: embedded.port() }), sqlSocket };
}

/** Where this machine's own processes reach a server. */
function localUrl({ hostname, port }: Deno.NetAddr): string {
  const host = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** A post never moves to another page, so this is remembered for as long as there is room. */
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

function failed(error: unknown, log: Log): Response {
  log.error("a response could not be made", { error });
  return new Response(null, { status: 500 });
}
