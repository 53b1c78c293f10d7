/**
 * A blocked, signed-out or demoted person is refused by every node on the next request after the answer, at any moment
 * of any fault.
 */
import assert from "node:assert/strict";
import { AccessEnds } from "../support/access_ends.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { fullSeededTest } from "../support/full.ts";
import { administrator, makePeople } from "../support/person.ts";
import type { Seeded } from "../support/seeded.ts";
import { sleep } from "../../lib/sleep.ts";

const ROUNDS = Number(Deno.env.get("CHAOS_ROUNDS") ?? 1);

fullSeededTest(
  "Nobody whose access has ended is accepted by any node, whatever happens to the nodes",
  async (random) => {
    await using cluster = await startCluster(3);
    const [first] = cluster.nodes;
    const admin = await administrator(first!);
    const people = await makePeople(first!, 8);
    const ends = new AccessEnds(random, cluster.nodes, admin, people);
    let stopped = false;
    const running = ends.run(() => stopped);
    // A failure ends the faults, too.
    const failed = running.then(() => {}, () => void (stopped = true));
    // A slow machine needs more faults for as many ends.
    for (let round = 0; (round < ROUNDS || ends.rounds < 50 * ROUNDS) && !stopped; round++) {
      for (const fault of FAULTS) if (!stopped) await fault(cluster, random);
    }
    stopped = true;
    await failed;
    await running;
    assert.ok(ends.rounds >= 50 * ROUNDS, `only ${ends.rounds} rounds`);
  },
);

const FAULTS: ((cluster: Cluster, random: Seeded) => Promise<void>)[] = [
  async ({ nodes }, random) => {
    const node = random.pick(nodes);
    node.freeze();
    await sleep(4_000);
    node.thaw();
    await sleep(1_000);
  },
  // It learns nothing by itself before it answers.
  async ({ nodes, proxies }, random) => {
    const i = random.whole(0, nodes.length - 1);
    proxies[i]!.swallow();
    nodes[i]!.freeze();
    await sleep(4_000);
    nodes[i]!.thaw();
    await sleep(1_500);
    proxies[i]!.pass();
    await sleep(500);
  },
  async ({ nodes }, random) => {
    for (let i = 0; i < 4; i++) {
      const node = random.pick(nodes);
      node.freeze();
      await sleep(random.whole(100, 2_600));
      node.thaw();
      await sleep(200);
    }
  },
  async ({ nodes }, random) => {
    const node = random.pick(nodes.slice(1));
    await node.kill();
    await sleep(2_000);
    await node.restart();
  },
  async ({ proxies }, random) => {
    const proxy = random.pick(proxies);
    proxy.swallow();
    await sleep(3_000);
    proxy.pass();
    await sleep(500);
  },
  async ({ postgres }) => {
    await postgres.restart();
    await sleep(1_500);
  },
];
