import { httpCaller } from "../../actors/node_http.ts";
import { Directory } from "../../actors/runtime/directory.ts";
import { NodeCalls, nodeSubject } from "../../actors/runtime/node_calls.ts";
import { NodeLease } from "../../actors/runtime/node_lease.ts";
import { PlacedActors } from "../../actors/runtime/placed_actors.ts";
import { Placement } from "../../actors/runtime/placement.ts";
import { Pool } from "../../actors/runtime/pool.ts";
import { CallServer } from "../../actors/runtime/serve_calls.ts";
import type { Config } from "../../config.ts";
import type { EventKind, SequencedEvent } from "../../db/event.ts";
import { type Grant, SINGLES } from "../../db/partitions.ts";
import type { Sql } from "../../db/sql.ts";
import type { JobNotifier } from "../../jobs/notifier.ts";
import type { Bus } from "../../lib/bus/bus.ts";
import type { Log } from "../../lib/log.ts";
import { ActiveFeeds } from "../../live/active_feeds.ts";
import type { Consumers } from "../../live/consumers.ts";
import type { EventStream } from "../../live/event_stream.ts";
import { HostedActors } from "../../live/hosted_actors.ts";
import { LikeEventEmitter } from "../../live/like_event_emitter.ts";
import { placementSubject } from "../../live/publisher.ts";
import type { Secret } from "../../security/secret.ts";
import { startWorkerThread } from "../threads/start_actors.ts";

export interface ActorParts {
  config: Config;
  log: Log;
  sql: Sql;
  /** A dedicated connection, so that a busy pool never costs the lease. */
  leaseSql: Sql;
  bus: Bus;
  secret: Secret;
  stream: EventStream;
  consumers: Consumers;
  notifier: JobNotifier;
  stack: AsyncDisposableStack;
  databaseUrl: string;
  checkReads: boolean;
  /** Events were committed here. */
  committed: (events: SequencedEvent[]) => void;
}

export interface NodeActors {
  /** This node's id, for as long as its process lives. */
  id: string;
  lease: NodeLease;
  /** Whether this node may answer from memory. */
  license: { readonly holds: boolean };
  directory: Directory;
  placement: Placement;
  router: PlacedActors;
  calls: CallServer;
  /** Whether it takes partitions now. */
  takes(): boolean;
  /** All parts of the node have started, so it may take partitions: others give some up as soon as it says so. */
  begin(): void;
  /** The node is stopping: it takes nothing any more, and others do not count on it. */
  end(): void;
  /** Whether work of which there is one in the installation is this node's now, and under which epoch. */
  single(name: keyof typeof SINGLES): Grant | undefined;
  /** Accepts no more calls over the bus. Earlier ones are still answered. */
  stopServing(): Promise<void>;
}

/**
 * The actors of this node until the parts' stack ends, and the way to those of other nodes. It has no partitions before
 * it has a lease; without the role `actors` it never takes any and only keeps feeds.
 */
export async function startActors(parts: ActorParts): Promise<NodeActors> {
  const { config, log, leaseSql, bus, secret, stream, stack } = parts;
  const id = crypto.randomUUID();
  const history = stream.historyId;
  const lease = new NodeLease();
  const license = {
    get holds() {
      return lease.holds && !stream.stalled;
    },
  };
  const directory = new Directory();
  const pool = stack.use(
    await startPool(parts, lease, (partition) => placement.outdated(partition), () => placement.replaced()),
  );
  const announce = () => void bus.publish(placementSubject(history), id).catch(() => {});
  let isWarm = false;
  const takes = () => isWarm && config.ROLES.includes("actors") && pool.isWhole;
  const placement: Placement = stack.use(
    new Placement({ id, sql: leaseSql, pool, directory, lease, log, takes, announce }),
  );
  await bus.subscribe(placementSubject(history), (from) => from === id ? undefined : placement.refresh());
  const feeds = new ActiveFeeds();
  const local = new HostedActors(pool, feeds, license);
  const calls = stack.use(new CallServer({ id, actors: local, stream, directory, log }));
  const serving = await bus.serve(
    nodeSubject(history, id),
    async (message) => JSON.stringify(await calls.answer(JSON.parse(message))),
  );
  const nats = config.NATS_URL === undefined ? undefined : bus;
  const sender = stack.use(new NodeCalls({ bus: nats, http: httpCaller(secret), history, directory }));
  const router = new PlacedActors({ id, pool, local, directory, placement, calls: sender, lease, stream });
  const single = (name: keyof typeof SINGLES) => pool.grants.find(({ partition }) => partition === SINGLES[name]);
  consume(parts, pool, feeds, () => single("likes"));
  return {
    id,
    lease,
    license,
    directory,
    placement,
    router,
    calls,
    single,
    takes,
    begin: () => void (isWarm = true),
    end: () => void (isWarm = false),
    stopServing: async () => await serving[Symbol.asyncDispose](),
  };
}

async function startPool(
  { config, log, stream, notifier, databaseUrl, secret, checkReads, committed }: ActorParts,
  lease: NodeLease,
  onOutdated: (partition: number) => void,
  onReplaced: () => void,
): Promise<Pool> {
  return await Pool.start({
    threads: config.WORKERS,
    start: () => startWorkerThread({ databaseUrl, codeKey: secret.subkey("codes"), checkReads }),
    lease,
    log,
    onCommitted: committed,
    applied: (seq) => stream.applied(seq),
    onJobs: (jobs) => notifier.notify(jobs),
    onOutdated,
    onReplaced,
  });
}

/** These events concern no actor. */
const FOR_SOCKETS: ReadonlySet<EventKind> = new Set(["notification", "notifications.read"]);

/** Passes events to the actors and feeds in memory here, and likes to their emitter. */
function consume(
  { sql, log, consumers, stack, committed }: ActorParts,
  pool: Pool,
  feeds: ActiveFeeds,
  single: () => Grant | undefined,
): void {
  const concernsActors = ({ kind, user_id, data }: SequencedEvent) => {
    if (FOR_SOCKETS.has(kind)) return false;
    // The account's own actor made the change, unless the operator did.
    if (kind === "account.changed") return data?.["outside"] === true;
    // Only the person sees `liked` change.
    if (kind === "post.liked") return feeds.has(user_id!);
    // Events of posts concern feeds only. Other events concern pages and users, too.
    return feeds.any || !kind.startsWith("post.");
  };
  consumers.actors = (events) => {
    const wanted = events.filter(concernsActors);
    if (wanted.length > 0) pool.events(wanted);
  };
  const emitter = stack.use(new LikeEventEmitter(sql, log, single, committed));
  consumers.likes = (events) => {
    if (events.some(({ kind }) => kind === "post.liked")) emitter.hint();
  };
}
