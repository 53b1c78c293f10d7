/** What nodes with leases do so that each partition has one of them. */
import assert from "node:assert/strict";
import { LEASE_MS, RENEW_MS } from "../../actors/runtime/node_lease.ts";
import { PARTITIONS } from "../../db/partitions.ts";
import { sleep } from "../../lib/sleep.ts";
import { checkOwners, PartitionTables, PlacedNode, type PlacedNodeOptions } from "../support/placements.ts";
import { seededTest } from "../support/seeded.ts";
import { until } from "../support/wait.ts";

class World implements Disposable {
  readonly tables = new PartitionTables();
  readonly nodes: PlacedNode[] = [];
  #count = 0;

  /** It has just begun, and the others renew their leases after that. */
  add(options: PlacedNodeOptions = {}): PlacedNode {
    const node = new PlacedNode(`0000000${++this.#count}`, this.tables, this.nodes, options);
    node.renew();
    for (const other of this.nodes) if (other !== node) other.renew();
    return node;
  }

  async shares(...shares: number[]): Promise<void> {
    const wanted = `${shares.toSorted()}`;
    const now = () => `${this.nodes.map(({ share }) => share).toSorted()}`;
    await until(`shares of ${wanted}`, () => now() === wanted, { timeoutMs: 5_000, everyMs: 2 }).catch((error) => {
      throw new Error(`They are ${now()}`, { cause: error });
    });
  }

  [Symbol.dispose](): void {
    for (const node of this.nodes) node[Symbol.dispose]();
  }
}

Deno.test("The first node takes all partitions as soon as it has a lease", async () => {
  using world = new World();
  const node = world.add();
  await world.shares(64);
  assert.deepEqual(new Set(node.epochs.values()), new Set([1]));
});

Deno.test("A partition whose epoch somebody else raised is dropped and taken again", async () => {
  using world = new World();
  const node = world.add();
  await world.shares(64);
  world.tables.raise(7);
  node.renew();
  await until("a later epoch", () => node.epochs.get(7) === 3);
  assert.equal(node.share, 64);
});

Deno.test("A newcomer gets its share: calls are finished, partitions are revoked and only then released", async () => {
  using world = new World();
  const first = world.add();
  await world.shares(64);
  first.done.length = 0;
  world.add();
  await world.shares(32, 32);
  assert.deepEqual(first.done, Array(4).fill(["finish 8", "revoke 8"]).flat());
  checkOwners(world.nodes);
  world.add();
  await world.shares(21, 21, 22);
});

Deno.test("Nodes that start at the same time share the partitions, each with one owner", async () => {
  using world = new World();
  world.tables.pause = () => sleep(Math.random() * 3);
  for (let i = 0; i < 4; i++) world.add();
  await world.shares(16, 16, 16, 16);
  checkOwners(world.nodes);
});

Deno.test("After the database's clock was set back, a dead node keeps its partitions for a lease", async () => {
  using world = new World();
  const dead = world.add();
  await world.shares(64);
  const node = world.add();
  await world.shares(32, 32);
  dead.die();
  // As if its lease had been written by a clock that was ahead.
  world.tables.renew(dead.id, 3_600_000);
  const begun = performance.now();
  node.renew();
  const renewing = setInterval(() => node.renew(), RENEW_MS);
  try {
    await until("all partitions", () => node.share === PARTITIONS);
  } finally {
    clearInterval(renewing);
  }
  assert.ok(performance.now() - begun >= LEASE_MS, "not before its own lease was certainly over");
});

Deno.test("A node that takes no partitions gets none", async () => {
  using world = new World();
  world.add({ takes: false });
  await sleep(20);
  await world.shares(0);
  world.add();
  await world.shares(0, 64);
});

Deno.test("Without its lease a node takes nothing", async () => {
  using world = new World();
  const node = new PlacedNode("00000001", world.tables, world.nodes);
  node.lease.holds = false;
  node.renew();
  await sleep(20);
  assert.equal(node.share, 0);
  node.lease.holds = true;
  node.renew();
  await world.shares(64);
});

Deno.test("The partitions of a dead node are taken when its lease is over, without another renewal", async () => {
  using world = new World();
  world.add();
  const dying = world.add({ leaseMs: 400 });
  await world.shares(32, 32);
  dying.renew();
  // A renewal tells of the other's lease.
  world.nodes[0]!.renew();
  const start = performance.now();
  dying.die();
  await sleep(200);
  await world.shares(32);
  await world.shares(64);
  const took = performance.now() - start;
  assert.ok(took >= 380 && took < 700, `${took} ms`);
});

Deno.test("A silent node keeps its partitions while its lease is in force", async () => {
  using world = new World();
  const [first] = [world.add(), world.add()];
  await world.shares(32, 32);
  world.nodes[1]!.die();
  for (let i = 0; i < 5; i++) {
    first.renew();
    await sleep(20);
  }
  assert.equal(first.share, 32);
});

Deno.test("A node that had no lease for a while gives all up, and takes again what nobody has taken", async () => {
  using world = new World();
  const node = world.add();
  await world.shares(64);
  node.lease.holds = false;
  world.tables.leases.delete(node.id);
  const other = new PlacedNode("00000002", world.tables, world.nodes);
  other.renew();
  await until("another took them", () => other.share === 64);
  node.placement.lapsed();
  assert.equal(node.share, 0);
  node.lease.holds = true;
  node.renew();
  other.renew();
  await world.shares(32, 32);
  assert.deepEqual(new Set(node.epochs.values()), new Set([3]), "under new epochs");
  checkOwners(world.nodes);
});

Deno.test("A node alone takes its partitions again under new epochs after it had no lease", async () => {
  using world = new World();
  const node = world.add();
  await world.shares(64);
  node.placement.lapsed();
  node.renew();
  await world.shares(64);
  assert.deepEqual(new Set(node.epochs.values()), new Set([2]));
});

Deno.test("A node whose commit was refused gives the partition up and looks who has it", async () => {
  using world = new World();
  const node = world.add();
  await world.shares(64);
  world.tables.leases.set("other", { until: performance.now() + 60_000, actors: true });
  Object.assign(world.tables.partitions[5]!, { node: "other", epoch: 2 });
  node.placement.outdated(5);
  assert.equal(node.epochs.has(5), false);
  await until("it knows", () => node.directory.ownerOf(5)?.id === "other");
});

Deno.test("After a worker was replaced, its partitions are taken again under new epochs, and no others", async () => {
  using world = new World();
  const node = world.add();
  await world.shares(64);
  let isReplaced = false;
  node.canHost = (partition) => isReplaced || partition % 2 === 0;
  for (const partition of [...node.epochs.keys()]) if (partition % 2 === 1) node.epochs.delete(partition);
  node.renew();
  await sleep(20);
  assert.equal(node.share, 32, "there is no worker for them");
  isReplaced = true;
  node.placement.replaced();
  await world.shares(64);
  for (const { partition, epoch } of node.grants) assert.equal(epoch, 1 + partition % 2, `${partition}`);
});

Deno.test("What a node cannot take for a second, the others share without it", async () => {
  using world = new World();
  const [able, unable] = [world.add(), world.add()];
  await world.shares(32, 32);
  world.tables.pause = () => sleep(1);
  unable.canHost = () => false;
  unable.epochs.clear();
  for (const partition of world.tables.partitions) if (partition.node === unable.id) partition.node = null;
  const start = performance.now();
  await until("the able one has all", () => {
    for (const node of world.nodes) node.renew();
    return able.share === 64;
  }, { timeoutMs: 5_000, everyMs: 50 });
  assert.ok(performance.now() - start > 900);
  assert.equal(unable.share, 0);
});

Deno.test("A node that says that it takes none at the moment is given none, and what it had is shared", async () => {
  using world = new World();
  const nodes = [world.add(), world.add(), world.add()];
  await world.shares(21, 21, 22);
  const unable = nodes[1]!;
  unable.canHost = () => false;
  unable.epochs.clear();
  for (const partition of world.tables.partitions) if (partition.node === unable.id) partition.node = null;
  for (const node of nodes) node.renew({ actors: node !== unable });
  for (const node of nodes) node.renew({ actors: node !== unable });
  await world.shares(0, 32, 32);
  world.tables.written.length = 0;
  for (let i = 0; i < 5; i++) {
    for (const node of nodes) node.renew({ actors: node !== unable });
    await sleep(20);
  }
  assert.deepEqual(world.tables.written, [], "nothing moves any more");
});

Deno.test("A node that leaves gives up everything, for the others at once, and takes nothing any more", async () => {
  using world = new World();
  const [leaving, staying] = [world.add(), world.add()];
  await world.shares(32, 32);
  await leaving.placement.leave();
  assert.equal(leaving.share, 0);
  world.tables.leases.delete(leaving.id);
  await until("the other has all", () => {
    staying.renew();
    return staying.share === 64;
  });
  leaving.renew();
  await sleep(20);
  assert.equal(leaving.share, 0);
});

Deno.test("A node that leaves gives up a partition, too, whose commit was lost at that moment", async () => {
  using world = new World();
  const node = world.add();
  await world.shares(64);
  const leaving = node.placement.leave();
  node.placement.outdated(5);
  await leaving;
  assert.deepEqual(world.tables.partitions.filter(({ node }) => node !== null), []);
});

Deno.test("A node that leaves while it takes partitions gives those up, too", async () => {
  using world = new World();
  world.tables.pause = () => sleep(10);
  const node = world.add();
  await until("it takes some", () => world.tables.written.length > 0, { everyMs: 1 });
  await node.placement.leave();
  assert.equal(node.share, 0);
  assert.ok(world.tables.partitions.every(({ node }) => node === null));
});

Deno.test("What failed because Postgres is away is tried again at the next renewal", async () => {
  using world = new World();
  world.tables.isAway = true;
  const node = new PlacedNode("00000001", world.tables, world.nodes);
  world.tables.renew(node.id, 60_000);
  await node.placement.refresh();
  assert.equal(node.share, 0);
  world.tables.isAway = false;
  node.renew();
  await world.shares(64);
});

Deno.test("A node that cannot reach Postgres still leaves", async () => {
  using world = new World();
  const node = world.add();
  await world.shares(64);
  world.tables.isAway = true;
  await node.placement.leave();
  world.tables.isAway = false;
  node.renew();
  await sleep(20);
  assert.ok(node.share < 64, "it takes nothing back");
});

seededTest(
  "However nodes come, die, lapse and leave, no partition has two, and all are owned in the end",
  async (random) => {
    using world = new World();
    world.tables.pause = () => sleep(random.next() * 4);
    world.add({ leaseMs: 300 });
    const renewing = setInterval(() => {
      for (const node of world.nodes) node.renew();
      checkOwners(world.nodes);
    }, 60);
    try {
      for (let i = 0; i < 25; i++) {
        const node = random.pick(world.nodes);
        const what = random.weighted({ add: 4, die: 1, leave: 2, lapse: 2, fence: 1, replace: 2 });
        if (what === "add" && world.nodes.length < 6) world.add({ leaseMs: 300 });
        if (world.nodes.length > 1 && what === "die") node.die();
        if (world.nodes.length > 1 && what === "leave") {
          await node.placement.leave();
          node.die();
          world.tables.leases.delete(node.id);
        }
        if (what === "lapse") node.placement.lapsed();
        if (what === "fence") node.placement.outdated(random.whole(0, PARTITIONS - 1));
        if (what === "replace") {
          for (const partition of [...node.epochs.keys()]) if (partition % 2 === 1) node.epochs.delete(partition);
          node.placement.replaced();
        }
        await sleep(random.whole(0, 40));
      }
      const [least, most] = [Math.floor(64 / world.nodes.length), Math.ceil(64 / world.nodes.length)];
      const even = () => world.nodes.every(({ share }) => share >= least && share <= most);
      const sum = () => world.nodes.reduce((sum, { share }) => sum + share, 0);
      await until("even shares of all", () => even() && sum() === PARTITIONS, { timeoutMs: 10_000 });
      checkOwners(world.nodes);
    } finally {
      clearInterval(renewing);
    }
  },
);
