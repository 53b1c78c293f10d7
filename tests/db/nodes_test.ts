/** The nodes of an installation in Postgres. */
import assert from "node:assert/strict";
import { LocalBus } from "../../lib/bus/local.ts";
import {
  type DirectoryRow,
  lastAcknowledgement,
  leave,
  nextAcknowledgement,
  nodesToAcknowledge,
  pruneNodes,
  readDirectory,
  renewLease,
  shortenLeases,
} from "../../db/nodes.ts";
import type { Sql } from "../../db/sql.ts";
import { accountSnapshot, accountSnapshots } from "../../db/users.ts";
import { SharedDeliveryBarrier } from "../../live/delivery_barrier.ts";
import type { EventStream } from "../../live/event_stream.ts";
import type { Gateway } from "../../live/gateway.ts";
import { LEASE_MS, MARGIN_MS, NodeLease } from "../../actors/runtime/node_lease.ts";
import { Membership } from "../../live/membership.ts";
import { Log } from "../../lib/log.ts";
import { PARTITIONS } from "../../db/partitions.ts";
import { newId } from "../../lib/ids.ts";
import { ModerationWorld } from "../support/moderation_world.ts";
import { until } from "../support/wait.ts";

const quiet = new class extends Log {
  override warn() {}
}("error");

const unacknowledged = (sql: Sql, id: string, mark: number) => nodesToAcknowledge(sql, { id, mark, marginMs: 0 });

const renew = (sql: Sql, id: string, leaseMs: number, acknowledged: number) =>
  renewLease(sql, { id, leaseMs, acknowledged, url: null, actors: true });

/** One for the file. */
let world: ModerationWorld;
Deno.test.beforeAll(async () => {
  world = await ModerationWorld.open();
});
Deno.test.afterAll(() => world[Symbol.asyncDispose]());

/** On a database without nodes. */
async function onDatabase(run: (world: ModerationWorld) => Promise<void>): Promise<void> {
  await world.sql.execute("delete from nodes");
  await run(world);
}

const test = (name: string, run: (sql: Sql, world: ModerationWorld) => Promise<void>) =>
  Deno.test(name, () => onDatabase((world) => run(world.sql, world)));

test("acknowledgements are numbered, starting after a node without any", async (sql) => {
  const id = newId();
  assert.ok((await renew(sql, id, 60_000, 0)).mark > 0, "it owes from the beginning");
  const mark = await nextAcknowledgement(sql);
  assert.ok(mark > 0);
  assert.equal(await nextAcknowledgement(sql), mark + 1);
  assert.equal(await lastAcknowledgement(sql), mark + 1);
  assert.equal((await renew(sql, id, 60_000, 0)).mark, mark + 1);
});

test("nodes with a lease that have not acknowledged are waited for, except the requesting one", async (sql) => {
  const [asking, live, dead, acknowledged] = [newId(), newId(), newId(), newId()];
  const mark = await nextAcknowledgement(sql);
  for (const id of [asking, live]) await renew(sql, id, 60_000, mark - 1);
  await renew(sql, dead, -1_000, 0);
  await renew(sql, acknowledged, 60_000, mark);
  assert.deepEqual(await unacknowledged(sql, asking, mark), [live]);
  assert.deepEqual((await nodesToAcknowledge(sql, { id: asking, mark, marginMs: 5_000 })).sort(), [live, dead].sort());
  await renew(sql, live, 60_000, mark);
  assert.deepEqual(await unacknowledged(sql, asking, mark), []);
  assert.deepEqual((await unacknowledged(sql, asking, mark + 1)).sort(), [live, acknowledged].sort());
  await leave(sql, live);
  assert.deepEqual(await unacknowledged(sql, asking, mark + 1), [acknowledged]);
});

test("entries of nodes that died long ago are deleted", async (sql) => {
  await renew(sql, newId(), -2 * 3_600_000, 0);
  await renew(sql, newId(), -1_000, 0);
  await pruneNodes(sql);
  const rows = await sql.query("select from nodes");
  assert.equal(rows.length, 1);
});

test("the directory has each node with its remaining lease, and the owner of each partition", async (sql) => {
  const [first, second] = [newId(), newId()];
  await renewLease(sql, { id: first, leaseMs: 5_000, acknowledged: 0, url: "http://first:8000", actors: true });
  await renewLease(sql, { id: second, leaseMs: -1_000, acknowledged: 0, url: null, actors: false });
  await sql.execute("update partitions set node = case when id = 3 then $1::uuid end", [first]);
  const { nodes, owners, now_ms } = await readDirectory(sql);
  assert.deepEqual(nodes.map(({ id, url, actors }) => [id, url, actors]), [
    [first, "http://first:8000", true],
    [second, null, false],
  ]);
  const [live, dead] = nodes.map(({ left_ms }) => left_ms) as [number, number];
  assert.ok(live > 3_000 && live <= 5_000 && dead <= -1_000, `${live} ${dead}`);
  assert.equal(owners.length, PARTITIONS);
  assert.deepEqual(owners.map(({ node }) => node).filter(Boolean), [first]);
  assert.equal(owners[3]!.node, first);
  assert.ok(owners.every(({ epoch }) => typeof epoch === "number"));
  assert.ok(Math.abs(now_ms - Date.now()) < 60_000);
});

test("a renewal returns the directory as it was before, and keeps when the node began", async (sql) => {
  const id = newId();
  assert.deepEqual((await renew(sql, id, 5_000, 0)).nodes, []);
  const [before] = (await renew(sql, id, 60_000, 0)).nodes;
  assert.ok(before!.left_ms <= 5_000);
  const [after] = (await readDirectory(sql)).nodes;
  assert.ok(after!.left_ms > 5_000);
  assert.equal(after!.started_at, before!.started_at);
});

test("leases from before the database's clock was set back end a lease from now, and no others change", async (sql) => {
  const [present, former] = [newId(), newId()];
  await renew(sql, present, 2 * LEASE_MS - 1, 0);
  await renew(sql, former, 3_600_000, 0);
  const leaseOf = async (id: string) => {
    const [row] = await sql.query<{ lease: string; left: number }>(
      `select lease_until::text as lease, extract(epoch from lease_until - clock_timestamp())::float8 * 1000 as left
      from nodes where id = $1`,
      [id],
    );
    return row!;
  };
  const before = await leaseOf(present);
  const begun = performance.now();
  await shortenLeases(sql, LEASE_MS);
  assert.equal((await leaseOf(present)).lease, before.lease);
  const { left } = await leaseOf(former);
  assert.ok(left <= LEASE_MS && left > LEASE_MS - (performance.now() - begun) - 100, `${left} ms are left`);
});

test("accounts read together are the same as accounts read one by one", async (sql, world) => {
  const [ada, bob] = [await world.account("ada", "moderator"), await world.account("bob")];
  await sql.execute("update users set blocked_until = 'infinity', blocked_reason = 'a test' where id = $1", [bob.id]);
  const snapshots = await accountSnapshots(sql, [ada.id, bob.id, newId()]);
  assert.deepEqual([...snapshots.keys()].sort(), [ada.id, bob.id].sort());
  for (const { id } of [ada, bob]) assert.deepEqual(snapshots.get(id), await accountSnapshot(sql, id));
  assert.deepEqual([snapshots.get(ada.id)!.role, snapshots.get(bob.id)!.blocked_until], ["moderator", "infinity"]);
});

/** A node without sockets that records its calls. */
class Node implements AsyncDisposable {
  readonly done: string[] = [];
  /** What its renewals received. */
  readonly directories: DirectoryRow[] = [];
  readonly lease = new NodeLease();
  membership!: Membership;
  /** Why its events do not fit the database any more. */
  foreign: string | undefined;
  /** Flushes wait for it. */
  gate: Promise<void> = Promise.resolve();
  #stack = new AsyncDisposableStack();

  static async start(sql: Sql): Promise<Node> {
    const node = new Node();
    const act = (what: string) => async () => {
      node.done.push(what);
      await node.gate;
      return true;
    };
    const stream = {
      catchUp: act("catches up"),
      foreign: () => Promise.resolve(node.foreign),
    } as unknown as EventStream;
    const gateway = {
      flush: act("flushes"),
      accounts: { finish: act("rechecks"), recheck: () => Promise.resolve() },
      closeAll: () => void node.done.push("closes"),
    } as unknown as Gateway;
    // Closed by the test that opened it.
    const own: Sql = Object.assign(Object.create(sql), { [Symbol.asyncDispose]: async () => {} });
    node.membership = await Membership.join({
      id: newId(),
      url: () => "http://here",
      actors: () => true,
      sql: own,
      stream,
      gateway,
      lease: node.lease,
      log: quiet,
      onLapse: () => void node.done.push("lapses"),
      onForeign: (reason) => void node.done.push(reason),
      onDirectory: (directory) => node.directories.push(directory),
    });
    node.#stack.use(node.membership);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

const nodeTest = (run: (sql: Sql) => Promise<void>) => onDatabase(({ sql }) => run(sql));

const acknowledgedBy = async (sql: Sql, id: string) =>
  (await sql.query<{ told: number }>("select told from nodes where id = $1", [id]))[0]?.told;

Deno.test("A node holds its lease from joining until leaving", () =>
  nodeTest(async (sql) => {
    const node = await Node.start(sql);
    assert.ok(node.lease.holds);
    const mark = await lastAcknowledgement(sql);
    assert.deepEqual(await unacknowledged(sql, newId(), mark), [], "without sockets nothing is left to tell");
    assert.deepEqual(await unacknowledged(sql, newId(), mark + 1), [node.membership.id]);
    assert.equal(node.directories.length, 1, "it knows the others");
    const [row] = (await readDirectory(sql)).nodes;
    assert.deepEqual([row!.id, row!.url, row!.actors], [node.membership.id, "http://here", true]);
    await node[Symbol.asyncDispose]();
    assert.deepEqual(await unacknowledged(sql, newId(), mark + 1), []);
  }));

Deno.test("A node acknowledges after its sockets are flushed and their accounts rechecked", () =>
  nodeTest(async (sql) => {
    await using node = await Node.start(sql);
    const gate = Promise.withResolvers<void>();
    const mark = await nextAcknowledgement(sql);
    node.gate = gate.promise;
    node.done.length = 0;
    const acknowledging = node.membership.acknowledge(mark);
    await until("the flush has begun", () => node.done.length > 0);
    assert.ok((await acknowledgedBy(sql, node.membership.id))! < mark);
    gate.resolve();
    await acknowledging;
    assert.deepEqual(node.done.slice(0, 3), ["catches up", "flushes", "rechecks"]);
    assert.equal(await acknowledgedBy(sql, node.membership.id), mark);
  }));

Deno.test("An acknowledgement requested while a node acknowledges is made again", () =>
  nodeTest(async (sql) => {
    await using node = await Node.start(sql);
    const gate = Promise.withResolvers<void>();
    node.gate = gate.promise;
    node.done.length = 0;
    const first = node.membership.acknowledge(await nextAcknowledgement(sql));
    await until("the flush has begun", () => node.done.length > 0);
    const second = node.membership.acknowledge(await nextAcknowledgement(sql));
    gate.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(node.done.filter((each) => each === "flushes").length, 2);
    assert.equal(await acknowledgedBy(sql, node.membership.id), await lastAcknowledgement(sql));
  }));

Deno.test("A node without a message finds a requested acknowledgement when it renews its lease", () =>
  nodeTest(async (sql) => {
    await using node = await Node.start(sql);
    const mark = await nextAcknowledgement(sql);
    await until("the node has acknowledged", async () => await acknowledgedBy(sql, node.membership.id) === mark, {
      timeoutMs: 5_000,
    });
  }));

Deno.test("An acknowledgement waits for live nodes, and for a silent one until its lease ends", () =>
  nodeTest(async (sql) => {
    await using bus = new LocalBus();
    await using node = await Node.start(sql);
    await using other = await Node.start(sql);
    const silent = newId();
    const audience = new SharedDeliveryBarrier({ sql, bus, history: "h", membership: node.membership });
    const start = performance.now();
    await renew(sql, silent, 1_000, 0);
    await audience.wait();
    const took = performance.now() - start;
    assert.ok(took > 1_000 + MARGIN_MS && took < 4_000, `${took} ms`);
    const mark = await lastAcknowledgement(sql);
    for (const { membership } of [node, other]) assert.equal(await acknowledgedBy(sql, membership.id), mark);
  }));

Deno.test("A node that cannot acknowledge gives up its lease", () =>
  nodeTest(async (sql) => {
    await using node = await Node.start(sql);
    const gate = Promise.withResolvers<void>();
    node.gate = gate.promise;
    node.done.length = 0;
    const mark = await nextAcknowledgement(sql);
    const start = performance.now();
    await until("the end of its lease", async () => (await unacknowledged(sql, newId(), mark)).length === 0, {
      timeoutMs: 20_000,
    });
    const took = performance.now() - start;
    assert.ok(took < 4_000 + LEASE_MS + 3_000, `${took} ms`);
    assert.ok(!node.lease.holds);
    await until("its sockets are closed", () => node.done.includes("closes"));
    gate.resolve();
    await until("the node has a lease again", () => node.lease.holds);
    await until("the node has acknowledged", async () => await acknowledgedBy(sql, node.membership.id) === mark);
  }));

Deno.test("A node whose database was restored while it had no lease does not take part again", () =>
  nodeTest(async (sql) => {
    const database = { isAway: false };
    const execute: Sql["execute"] = (...all) =>
      database.isAway ? Promise.reject(new Error("expected")) : sql.execute(...all);
    await using node = await Node.start(Object.assign(Object.create(sql), { execute }));
    database.isAway = true;
    await until("its lease ends", () => !node.lease.holds, { timeoutMs: 15_000 });
    node.foreign = "restored";
    database.isAway = false;
    await until("it gives up", () => node.done.includes("restored"), { timeoutMs: 15_000 });
    assert.equal(node.lease.holds, false);
  }));

Deno.test("A node whose database is unavailable closes its sockets, and rejoins when it returns", () =>
  nodeTest(async (sql) => {
    const database = { isAway: false };
    const query: Sql["query"] = (...all) => database.isAway ? Promise.reject(new Error("expected")) : sql.query(...all);
    const execute: Sql["execute"] = (...all) =>
      database.isAway ? Promise.reject(new Error("expected")) : sql.execute(...all);
    await using node = await Node.start(Object.assign(Object.create(sql), { query, execute }));
    node.done.length = 0;
    database.isAway = true;
    await until("its sockets are closed", () => node.done.includes("closes"), { timeoutMs: 15_000 });
    assert.ok(!node.lease.holds);
    node.done.length = 0;
    database.isAway = false;
    await until("it is there again", () => node.lease.holds);
    const since = node.done.slice(node.done.indexOf("lapses") - 1);
    assert.deepEqual(
      since.slice(0, 3),
      ["closes", "lapses", "catches up"],
      "it learns what it missed before it answers",
    );
  }));
