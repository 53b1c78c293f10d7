/** Two equal nodes that nobody looks after: neither takes actors from the other, and one takes over when one dies. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { fullTest } from "../support/full.ts";
import { Installation } from "../support/installation.ts";
import type { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { until } from "../support/wait.ts";

/** Their photos are elsewhere, so that none has a child process. */
const EQUAL = { ROLES: "api,actors", WORKERS: "1", STORAGE_URL: "http://127.0.0.1:9" };
/** Longer than a lease with all its renewals. */
const WATCHED_MS = 5_000;
/** The rest of a lease, with room for a busy machine. Without a successor it would be never. */
const TAKEN_OVER_MS = 8_000;

async function metricOf({ url }: NodeProcess, name: string): Promise<number> {
  return valueOf(parseMetrics(await (await fetch(`${url}/metrics`)).text()), name) ?? 0;
}

fullTest("Two nodes keep their halves of the actors, and one that is left alone takes all", async () => {
  await using installation = await Installation.open();
  const nodes = await installation.startEqual(2, EQUAL) as [NodeProcess, NodeProcess];
  const [first, second] = nodes;
  const partitions = () => Promise.all(nodes.map((node) => metricOf(node, "rookery_actor_partitions")));
  await until("the shares are even", async () => (await partitions()).every((n) => n === 32));
  const taken = () => Promise.all(nodes.map((node) => metricOf(node, "rookery_partitions_taken_total")));
  const before = await taken();
  const people = await makePeople(second, 6);
  const post = (person: Person, node: NodeProcess) =>
    person.at(node).call("POST", `/pages/${person.page_id}/posts`, { text: "a post" });
  for (const end = performance.now() + WATCHED_MS; performance.now() < end;) {
    for (const node of nodes) assert.equal((await post(people[0]!, node)).status, 201);
    await sleep(20);
  }
  assert.deepEqual([await partitions(), await taken()], [[32, 32], before]);

  await first.kill();
  const killed = performance.now();
  for (const person of people) {
    await until(`${person.login} can post`, async () => (await post(person, second)).status === 201);
  }
  assert.ok(performance.now() - killed < TAKEN_OVER_MS, `it took ${Math.round(performance.now() - killed)} ms`);
  await until("it has all partitions", async () => await metricOf(second, "rookery_actor_partitions") === 64);
  // It reads the directory again once it has taken them.
  const isReady = async () => (await (await fetch(`${second.url}/readyz`)).json()).status === "ready";
  await until("the node that is left is ready", isReady, { everyMs: 50 });
});
