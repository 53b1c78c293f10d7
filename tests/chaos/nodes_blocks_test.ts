/** A block is answered after the last frame of the page on every node, also when nodes fail. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { blockWorkload } from "../support/block_workload.ts";
import { fullSeededTest } from "../support/full.ts";
import { type OwnerAndTwo, startInstallation } from "../support/installation.ts";
import type { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { Listener } from "../support/listener.ts";
import { until } from "../support/wait.ts";

/** Those who wait for the end of a lease add a margin; the rest is for a busy machine. */
const AFTER_LEASE_MS = 250 + 2_500;
/** No lease is waited for. */
const USUAL_MS = 1_500;
/** Shorter and longer than a lease. */
const STOPS_MS = [300, 4_000, 1_500];

fullSeededTest(
  "A page blocked through one node during posting is shown to no listener of another node",
  async (random) => {
    await using installation = await startInstallation();
    const { owner, a, b } = installation;
    const admin = await administrator(a);
    const [ann, carl, mark, ...readers] = await makePeople(b, 7) as [Person, Person, Person, ...Person[]];
    await blockWorkload(random, {
      admin,
      ann,
      carl: carl.at(owner),
      mark: mark.at(a),
      readers: readers.map((reader, i) => reader.at([b, owner, a, b][i]!)),
      sql: owner.sql,
      rounds: 10,
    });
  },
);

fullSeededTest(
  "During blocks a node that is suspended repeatedly never shows hidden content",
  async (random) => {
    await using installation = await startInstallation();
    const { owner, a, b } = installation;
    const admin = await administrator(a);
    const [ann, carl, mark, ...readers] = await makePeople(a, 5) as [Person, Person, Person, ...Person[]];
    let stops = 0;
    await blockWorkload(random, {
      admin,
      ann,
      carl: carl.at(owner),
      mark,
      readers: readers.map((reader, i) => reader.at([owner, b][i]!)),
      sql: owner.sql,
      rounds: 8,
      maxMs: 2_500,
      disturb: async (over) => {
        while (!over()) {
          b.freeze();
          await sleep(STOPS_MS[stops % STOPS_MS.length]!);
          b.thaw();
          stops++;
          await sleep(random.whole(50, 1_500));
        }
      },
    });
    assert.ok(stops >= 2, `only ${stops}`);
  },
);

interface World {
  ann: Person;
  /** A listener of a follower of Ann, at the node `b`. */
  listener: Listener<Person>;
  /** Blocks Ann's page through the node `a`; returns the milliseconds it took. */
  block: () => Promise<number>;
  /** Ends the block. */
  unblock: () => Promise<unknown>;
  /** The milliseconds of the shortest of three blocks, as a busy machine only makes them longer. The last one stays. */
  shortestBlock: () => Promise<number>;
}

async function worldOf({ a, b }: OwnerAndTwo): Promise<World> {
  const admin = await administrator(a);
  const [ann, bob] = await makePeople(a, 2) as [Person, Person];
  await bob.do("PUT", `/pages/${ann.page_id}/follow`);
  const listener = await Listener.open(bob.at(b));
  const block = async () => {
    const start = performance.now();
    await admin.do("POST", `/pages/${ann.page_id}/block`, { reason: "a test", until: null });
    return performance.now() - start;
  };
  const unblock = () => admin.do("DELETE", `/pages/${ann.page_id}/block`);
  const shortestBlock = async () => {
    let shortest = await block();
    for (let i = 0; i < 2; i++) {
      await unblock();
      shortest = Math.min(shortest, await block());
    }
    return shortest;
  };
  const before = await ann.post("before");
  await listener.heard("a post before all", ({ data }) => data.id === before.id);
  return { ann, listener, block, unblock, shortestBlock };
}

/** Between which moments of this process the lease of a node ends that does not renew it. */
async function leaseEnd(node: NodeProcess, by: NodeProcess): Promise<[earliest: number, latest: number]> {
  const asked = performance.now();
  const [row] = await by.sql.query<{ left_ms: number }>(
    `select extract(epoch from lease_until - clock_timestamp())::float8 * 1000 as left_ms
      from nodes where url like $1`,
    [`%:${new URL(node.url).port}`],
  );
  return [asked + row!.left_ms, performance.now() + row!.left_ms];
}

/** Blocks the page. The answer waits until the lease of a node is over, and not much longer. */
async function blockAfterLease({ block }: World, node: NodeProcess, by: NodeProcess): Promise<void> {
  const [earliest, latest] = await leaseEnd(node, by);
  const ms = await block();
  const now = performance.now();
  const said = `after ${Math.round(ms)} ms, ${Math.round(now - latest)} ms after the end of the lease`;
  assert.ok(now >= earliest && now < latest + AFTER_LEASE_MS, said);
}

/** The received posts without the first. */
const heard = ({ events }: Listener<Person>) => events.slice(1).filter(({ type }) => type.startsWith("post."));

fullSeededTest("A block is answered when a briefly suspended node has informed its listeners", async () => {
  await using installation = await startInstallation();
  const { a, b } = installation;
  const { ann, listener, block, unblock, shortestBlock } = await worldOf(installation);
  const usual = await shortestBlock();
  assert.ok(usual < USUAL_MS, `a block among live nodes took ${Math.round(usual)} ms`);
  const blocks = () => listener.events.filter(({ type }) => type === "page.hidden").length;
  await until("its listener receives the blocks", () => blocks() === 3);
  await unblock();
  b.freeze();
  let answered = false;
  const blocking = block().then(() => answered = true);
  await until("the block is stored", async () => {
    const rows = await a.sql.query("select from pages where id = $1 and blocked_until is not null", [ann.page_id]);
    return rows.length === 1;
  }, { everyMs: 5 });
  // Longer than an answer that waits for nobody, and well below the rest of the lease.
  await sleep(200);
  assert.equal(answered, false);
  b.thaw();
  await blocking;
  await until("its listener receives the last block", () => blocks() === 4);
  assert.ok(listener.connected, "its lease had not ended");
  listener.cut();
});

fullSeededTest(
  "A suspended node is waited for until its lease ends, and sends nothing when it resumes",
  async () => {
    await using installation = await startInstallation();
    const { a, b } = installation;
    const world = await worldOf(installation);
    const { ann, listener } = world;
    b.freeze();
    // It reaches the node's host, but not its sockets.
    await ann.post("while the node is suspended");
    await blockAfterLease(world, b, a);
    assert.equal((await listener.person.at(a).call("GET", `/pages/${ann.page_id}/posts`)).status, 403);
    b.thaw();
    await until("its listener is closed", () => !listener.connected);
    assert.equal(listener.closed?.code, 1012);
    assert.deepEqual(heard(listener), []);

    await until("it accepts listeners again", () => listener.connect().then(() => true, () => false));
    await listener.heard("the block", ({ type }) => type === "page.hidden");
    assert.deepEqual(heard(listener), [], "nothing is replayed either");
    listener.cut();
  },
);

fullSeededTest("A killed node delays a block until its lease ends, and nothing else", async () => {
  await using installation = await startInstallation();
  const { a, b } = installation;
  const world = await worldOf(installation);
  const { ann, listener, unblock, shortestBlock } = world;
  await b.kill();
  await ann.post("after the kill");
  await blockAfterLease(world, b, a);
  await unblock();
  assert.ok(await shortestBlock() < USUAL_MS, "a block waits for a dead node only once");
  await unblock();
  await b.restart();
  // Another listener of the same person, at the new address.
  const again = await Listener.open(listener.person.at(b), listener.cursor);
  await again.heard("the end of the block", ({ type }) => type === "page.shown");
  again.cut();

  // A block does not wait for a node that stopped cleanly.
  assert.equal((await b.stop()).code, 0, b.output);
  const quick = await shortestBlock();
  assert.ok(quick < USUAL_MS, `${Math.round(quick)} ms`);
});
