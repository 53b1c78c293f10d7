/** A node of the simulation: the real runtime on a simulated clock, network and database. */
import assert from "node:assert/strict";
import { AccountCache } from "../../actors/account_cache.ts";
import { type ActorKind, commit, reply } from "../../actors/runtime/actor.ts";
import { Directory } from "../../actors/runtime/directory.ts";
import { Host, type HostPorts } from "../../actors/runtime/host.ts";
import { NodeCalls, nodeSubject } from "../../actors/runtime/node_calls.ts";
import { NodeLease } from "../../actors/runtime/node_lease.ts";
import { PlacedActors } from "../../actors/runtime/placed_actors.ts";
import { Placement } from "../../actors/runtime/placement.ts";
import { type HostThread, Pool } from "../../actors/runtime/pool.ts";
import type { Committed } from "../../actors/runtime/mailbox.ts";
import type { FromWorker, Reply, ToWorker } from "../../actors/runtime/protocol.ts";
import { CallServer } from "../../actors/runtime/serve_calls.ts";
import type { SequencedEvent } from "../../db/event.ts";
import type { Sql } from "../../db/sql.ts";
import { defineCommit } from "../../db/turn_statement.ts";
import type { Bus } from "../../lib/bus/bus.ts";
import { Log } from "../../lib/log.ts";
import { type Consumers, deliver } from "../../live/consumers.ts";
import { acknowledgementSubject, SharedDeliveryBarrier } from "../../live/delivery_barrier.ts";
import { EventStream } from "../../live/event_stream.ts";
import type { Gateway } from "../../live/gateway.ts";
import { HostedActors } from "../../live/hosted_actors.ts";
import { Membership } from "../../live/membership.ts";
import { placementSubject, subjectOf } from "../../live/publisher.ts";
import type { Process, SimulatedClock } from "./clock.ts";
import { PAGES, type SimulatedDatabase } from "./database.ts";
import type { SimulatedNetwork } from "./network.ts";

const HISTORY = "history";
const definition = {
  columns: "id uuid, operation text",
  body: "nothing as (select 1)",
  select: "select turn, '{}'::jsonb as result from turns",
};
const add = defineCommit<{ id: string; operation: string }, { total: number }>("simulation.add", definition);
const revoke = defineCommit<{ id: string; operation: string }, { total: number }>("simulation.revoke", definition);

interface Page {
  id: string;
  total: number;
}
type PageCommand = { type: "add"; operation: string } | { type: "get" };

/** A page that counts what was added, in its memory and in the database. */
const page: ActorKind<Page, PageCommand> = {
  name: "page",
  handles: () => true,
  load: async (sql, id) => {
    const [row] = await sql.query<{ total: number }>("", [id], "page.total");
    return { id, total: row!.total };
  },
  decide: (state, command) =>
    command.type === "get"
      ? reply(state.total)
      : commit(add, { id: state.id, operation: command.operation }, ({ total }) => {
        assert.ok(total > state.total, `the page had ${state.total} in memory and ${total} in the database`);
        return { value: total, state: { ...state, total } };
      }),
};

const account: ActorKind<string, { type: "revoke"; operation: string }> = {
  name: "user",
  handles: () => true,
  load: (_, id) => Promise.resolve(id),
  decide: (id, { operation }) => commit(revoke, { id, operation }, () => ({ value: null })),
};

/** The posts of all pages, as read at once and kept up to date by events. */
interface Feed {
  kept: { posts: readonly string[]; seq: number } | null;
}

const feed: ActorKind<Feed, { type: "get"; bypass?: boolean }> = {
  name: "feed",
  handles: () => true,
  load: () => Promise.resolve({ kept: null }),
  decide: ({ kept }, { bypass }) =>
    kept && !bypass ? reply(kept.posts) : {
      type: "read",
      run: async (sql) => {
        const [kept] = await sql.query<NonNullable<Feed["kept"]>>("", [], "feed.posts");
        return { state: { kept: kept! }, value: kept!.posts };
      },
    },
  absorb: ({ kept }, { seq, data }) => // It may have been read already.
  ({ kept: kept && seq > kept.seq ? { posts: [...kept.posts, data!["operation"] as string], seq } : kept }),
  watches: ({ kept }) => kept ? PAGES : [],
};

const silent = new class extends Log {
  override debug() {}
  override info() {}
  override warn() {}
  override warnOften() {}
}("error");

const noListeners = {
  closeAll: () => {},
  flush: () => Promise.resolve(),
  accounts: { finish: () => Promise.resolve(), recheck: () => Promise.resolve() },
} as unknown as Gateway;

export interface World {
  clock: SimulatedClock;
  network: SimulatedNetwork;
  database: SimulatedDatabase;
  /** Actors without a message for so long are unloaded. */
  idleMs: number;
  /** Called when a node finds that its lease was over. */
  onLapse: (node: SimulatedNode) => void;
}

export class SimulatedNode {
  readonly id: string;
  readonly lease = new NodeLease();
  readonly accounts: AccountCache;
  readonly router: PlacedActors;
  readonly placement: Placement;

  private constructor(
    readonly process: Process,
    readonly pool: Pool,
    readonly barrier: SharedDeliveryBarrier,
    parts: Pick<SimulatedNode, "id" | "lease" | "accounts" | "router" | "placement">,
    private readonly consumed: { seq: number },
    private readonly stream: EventStream,
    private readonly membership: Membership,
    private readonly serving: AsyncDisposable,
  ) {
    ({ id: this.id, lease: this.lease, accounts: this.accounts, router: this.router, placement: this.placement } =
      parts);
  }

  /** The last event that was consumed. */
  get position(): number {
    return this.consumed.seq;
  }

  /** Starts as `workers/roles/node.ts` does. */
  static async start(world: World, process: Process): Promise<SimulatedNode> {
    const { clock, network, database } = world;
    const sql = database.sqlOf(process);
    const bus = network.busOf(process) as unknown as Bus;
    const id = process.name;
    const url = `http://${id}`;
    let node: SimulatedNode | undefined;
    const consumed = { seq: 0 };
    const lease = new NodeLease();
    const consumers: Consumers = {};
    const stream = await EventStream.open(sql, silent, inOrder(id, consumed, consumers));
    consumed.seq = stream.position;
    const license = licenseOf(lease, stream);
    const accounts = new AccountCache(sql, license);
    consumers.accounts = (events) => {
      for (const { kind, user_id } of events) if (kind === "account.changed") accounts.changed(user_id!);
    };
    const directory = new Directory();
    const pool = await Pool.start({
      threads: 1,
      start: () => Promise.resolve(threadOn(sql, world, process)),
      lease,
      log: silent,
      onCommitted: (events) => {
        stream.offer(events);
        void bus.publish(subjectOf(HISTORY), JSON.stringify(events)).catch(() => {});
      },
      applied: (seq) => stream.applied(seq),
      onJobs: () => {},
      onOutdated: (partition) => placement.outdated(partition),
      onReplaced: () => placement.replaced(),
      schedule: (work) => void clock.after(0, process, work),
    });
    consumers.actors = (events) => pool.events(events);
    const announce = () => void bus.publish(placementSubject(HISTORY), id).catch(() => {});
    const placement = new Placement({ id, sql, pool, directory, lease, log: silent, takes: () => true, announce });
    await bus.subscribe(placementSubject(HISTORY), () => void placement.refresh());
    await bus.subscribe(subjectOf(HISTORY), (message) => stream.offer(JSON.parse(message)));
    const local = new HostedActors(pool, { read: () => {} }, license);
    const server = new CallServer({ id, actors: local, stream, directory, log: silent });
    const serving = await bus.serve(
      nodeSubject(HISTORY, id),
      async (message) => JSON.stringify(await server.answer(JSON.parse(message))),
    );
    network.http.set(url, { process, answer: (call) => server.answer(call) });
    const calls = new NodeCalls({ bus, http: network.httpCaller(process), history: HISTORY, directory });
    const router = new PlacedActors({ id, pool, local, directory, placement, calls, lease, stream });
    const membership = await Membership.join({
      id,
      url: () => url,
      actors: () => true,
      sql,
      stream,
      gateway: noListeners,
      lease,
      log: silent,
      onLapse: () => {
        placement.lapsed();
        if (node) world.onLapse(node);
      },
      onForeign: (reason) => assert.fail(reason),
      onDirectory: (row) => placement.update(row),
    });
    await bus.subscribe(acknowledgementSubject(HISTORY), () => void membership.acknowledgeLatest());
    const barrier = new SharedDeliveryBarrier({ sql, bus, history: HISTORY, membership });
    const parts = { id, lease, accounts, router, placement };
    return node = new SimulatedNode(process, pool, barrier, parts, consumed, stream, membership, serving);
  }

  /** In order, as after SIGTERM. */
  async stop(): Promise<void> {
    await this.placement.leave();
    await this.serving[Symbol.asyncDispose]();
    await this.router.drain(1_000);
    await this.membership[Symbol.asyncDispose]();
    this.placement[Symbol.dispose]();
    await this.pool[Symbol.asyncDispose]();
    await this.stream[Symbol.asyncDispose]();
  }
}

/** Delivers events, of which none may be missing. */
function inOrder(id: string, consumed: { seq: number }, consumers: Consumers): (events: SequencedEvent[]) => void {
  return (events) => {
    for (const { seq } of events) {
      assert.equal(seq, consumed.seq + 1, `node ${id} missed an event`);
      consumed.seq = seq;
    }
    deliver(consumers, events);
  };
}

/** As `workers/roles/actors.ts` has it. */
function licenseOf(lease: NodeLease, stream: EventStream): { readonly holds: boolean } {
  return {
    get holds() {
      return lease.holds && !stream.stalled;
    },
  };
}

/** A channel between threads: messages arrive in order, and wait while a thread is busy. */
function inTurn(clock: SimulatedClock, process: Process): (work: () => void) => void {
  let last = 0;
  return (work) => {
    last = Math.max(last, clock.now + 0.05, process.threadsBusyUntil);
    clock.after(last - clock.now, process, work);
  };
}

/** A worker thread as another host in the same process. */
function threadOn(sql: Sql, { clock, idleMs }: World, process: Process): HostThread {
  let listener: (messages: FromWorker[]) => void = () => {};
  const [toThread, fromThread] = [inTurn(clock, process), inTurn(clock, process)];
  const send = (message: FromWorker) => fromThread(() => listener([message]));
  const ports: HostPorts = {
    committed: (events) => send({ type: "committed", events }),
    outdated: (partition, epoch) => send({ type: "outdated", partition, epoch }),
    fault: (_, error) => {
      throw error;
    },
  };
  const host = new Host({ page, user: account, feed }, sql, ports, { idleMs, maxActivations: 1_000 });
  setInterval(() => host.sweep(), idleMs / 2);
  const answer = (call: number) => (value: Reply, from?: Committed | "memory") => {
    const message: FromWorker = { type: "reply", call, reply: value };
    if (from === "memory") message.remembered = true;
    else if (from && from.seq !== null) message.seq = from.seq;
    send(message);
  };
  const take = (message: ToWorker) => {
    if (message.type === "ask") {
      host.ask(message.ref, { ...message, arrived: Date.now(), answer: answer(message.call) });
    } else if (message.type === "events") host.absorb(message.events);
    else if (message.type === "grant") host.grant(message.partition, message.epoch);
    else if (message.type === "revoke") host.revoke(message.partition);
  };
  return {
    post: (messages) => toThread(() => messages.forEach(take)),
    onMessages: (listen) => listener = listen,
    onDeath: () => {},
    terminate: () => {},
  };
}
