/** A block is answered after the last frame of the page on every node, also when nodes fail. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { blockWorkload } from "../support/block_workload.ts";
import { fullSeededTest } from "../support/full.ts";
import { type OwnerAndTwo, startInstallation } from "../support/installation.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { Listener } from "../support/listener.ts";
import { until } from "../support/wait.ts";

/** A lease with the margin of those who wait, and the last of their looks on a busy machine. */
const LEASE_OVER_MS = 2_750 + 250;
/** What is left of a lease at least: it is renewed every 600 ms, and a busy machine is late. */
const LEASE_LEFT_MS = 1_200;
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
  admin: Person;
  ann: Person;
  /** A listener of a follower of Ann, at the node `b`. */
  listener: Listener<Person>;
  /** Blocks Ann's page through the node `a`; returns the milliseconds it took. */
  block: () => Promise<number>;
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
  const before = await ann.post("before");
  await listener.heard("a post before all", ({ data }) => data.id === before.id);
  return { admin, ann, listener, block };
}

/** The received posts without the first. */
const heard = ({ events }: Listener<Person>) => events.slice(1).filter(({ type }) => type.startsWith("post."));

fullSeededTest("A block is answered when a briefly suspended node has informed its listeners", async () => {
  await using installation = await startInstallation();
  const { admin, ann, listener, block } = await worldOf(installation);
  const usual = await block();
  assert.ok(usual < 1_500, `a block among live nodes took ${Math.round(usual)} ms`);
  const { seq: first } = await listener.heard("the block", ({ type }) => type === "page.hidden");
  await admin.do("DELETE", `/pages/${ann.page_id}/block`);
  installation.b.freeze();
  let answered = false;
  const blocking = block().then(() => answered = true);
  await sleep(800);
  assert.equal(answered, false);
  installation.b.thaw();
  await blocking;
  await listener.heard("the second block", ({ type, seq }) => type === "page.hidden" && seq > first);
  assert.ok(listener.connected, "its lease had not ended");
  listener.cut();
});

fullSeededTest(
  "A suspended node is waited for until its lease ends, and sends nothing when it resumes",
  async () => {
    await using installation = await startInstallation();
    const { a, b } = installation;
    const { ann, listener, block } = await worldOf(installation);
    b.freeze();
    // It reaches the node's host, but not its sockets.
    await ann.post("while the node is suspended");
    const ms = await block();
    assert.ok(ms > LEASE_LEFT_MS && ms < LEASE_OVER_MS, `the block took ${Math.round(ms)} ms`);
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
  const { b } = installation;
  const { admin, ann, listener, block } = await worldOf(installation);
  await b.kill();
  await ann.post("after the kill");
  const ms = await block();
  assert.ok(ms > LEASE_LEFT_MS && ms < LEASE_OVER_MS, `the block took ${Math.round(ms)} ms`);
  const start = performance.now();
  await admin.do("DELETE", `/pages/${ann.page_id}/block`);
  assert.ok(performance.now() - start < 1_500, "a block waits for a dead node only once");
  await b.restart();
  // Another listener of the same person, at the new address.
  const again = await Listener.open(listener.person.at(b), listener.cursor);
  await again.heard("the end of the block", ({ type }) => type === "page.shown");
  again.cut();

  // A block does not wait for a node that stopped cleanly.
  assert.equal((await b.stop()).code, 0, b.output);
  const quick = await block();
  assert.ok(quick < 1_500, `${Math.round(quick)} ms`);
});
