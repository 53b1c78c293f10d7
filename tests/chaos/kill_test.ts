import assert from "node:assert/strict";
import { Listener } from "../support/listener.ts";
import { type EventRow, LiveOracle, readEvents } from "../support/live_oracle.ts";
import { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { seededTest } from "../support/seeded.ts";
import { assertCountersTrue, assertHistoryWhole, WriteWorkload } from "../support/write_workload.ts";
import { until } from "../support/wait.ts";
import { eventsNumbered } from "../support/settled.ts";

const ROUNDS = 4;

seededTest("A node killed under heavy writes keeps every acknowledged write, once", async (random) => {
  await using node = await NodeProcess.start();
  const admin = await administrator(node);
  const people = await makePeople(node, 5);
  const { id: hidden } = await admin.do("POST", "/pages", { name: "asks first", is_private: true });
  const listening: { listener: Listener<Person>; followed: string[]; heardBefore: number }[] = [];
  for (const person of people.slice(0, 2)) {
    await person.do("PUT", `/pages/${admin.page_id}/follow`);
    listening.push({
      listener: await Listener.open(person),
      followed: [admin.page_id, person.page_id],
      heardBefore: 0,
    });
  }
  // The workload does not change the listeners' follows.
  const workload = new WriteWorkload(random, people, [hidden, ...people.map(({ page_id: page }) => page)], "w");
  let seq = 0;
  const oracles = listening.map(({ listener }) => new LiveOracle(listener.person.id, false, [listener.person.page_id]));
  for (let round = 0; round < ROUNDS; round++) {
    let stopped = false;
    const wanted = workload.posts.size + random.whole(60, 200);
    const atWork = workload.run(16, () => stopped);
    await until("enough writes of the workload", () => workload.posts.size >= wanted, { everyMs: 1 });
    if (round === 1) listening[0]!.listener.cut();
    await node.kill();
    stopped = true;
    await atWork;
    await node.restart();
    // The leases of keys that dead processes held are still running.
    await node.sql.execute("update receipts set lease_until = now() - interval '1 second' where state = 'running'");
    await workload.retry();
    await workload.holdAgainst(node.sql);
    const events = await catchUp(node, admin, listening.map(({ listener }) => listener), seq);
    seq = events.at(-1)!.seq;
    await assertCountersTrue(node.sql);
    await assertHistoryWhole(node.sql);
    for (const [i, entry] of listening.entries()) {
      const { must } = oracles[i]!.take(events);
      const heard = entry.listener.events.slice(entry.heardBefore);
      entry.heardBefore = entry.listener.events.length;
      const seqs = new Set(heard.map((frame) => frame.seq));
      const missed = must.filter((event) => event.seq > firstOf(entry.listener) && !seqs.has(event.seq));
      assert.deepEqual(missed, [], `${entry.listener.person.login} missed events in round ${round}`);
      assert.equal(seqs.size, heard.length, "no event was repeated");
    }
  }
  for (const { listener } of listening) listener.cut();
});

/** The position where the listener began. */
function firstOf(listener: Listener<Person>): number {
  return Number(atob(listener.hellos[0]!.cursor).split(":")[1]);
}

async function catchUp(
  node: NodeProcess,
  admin: Person,
  listeners: Listener<Person>[],
  after: number,
): Promise<EventRow[]> {
  for (const listener of listeners) {
    await until("the cut is noticed", () => !listener.connected);
    await listener.connect();
  }
  await eventsNumbered(node.sql);
  const beacon = await admin.post("did everybody hear this?");
  for (const listener of listeners) await listener.heard("the beacon", ({ data }) => data.id === beacon.id);
  return await readEvents(node.sql, after, await eventsNumbered(node.sql));
}

seededTest("SIGTERM under load lets requests in progress finish, and exits 0 within 10 seconds", async (random) => {
  await using node = await NodeProcess.start();
  const people = await makePeople(node, 4);
  for (let round = 0; round < 2; round++) {
    const workload = new WriteWorkload(random, people, people.map(({ page_id: page }) => page), `t${round}`);
    let stopped = false;
    const atWork = workload.run(16, () => stopped);
    await until("enough writes of the workload", () => workload.posts.size >= 40, { everyMs: 1 });
    const { code, ms } = await node.stop();
    stopped = true;
    await atWork;
    assert.equal(code, 0, node.output);
    assert.ok(ms < 10_000, `it took ${Math.round(ms)} ms`);
    await node.restart();
    await node.sql.execute("update receipts set lease_until = now() - interval '1 second' where state = 'running'");
    await workload.retry();
    await workload.holdAgainst(node.sql);
    await assertCountersTrue(node.sql);
  }
});

Deno.test("No child process outlives a killed node", async () => {
  await using node = await NodeProcess.start();
  const children = await descendants(node.pid);
  assert.ok(children.length > 0, "a node has children");
  await node.kill();
  await until(
    "all children are gone",
    async () => (await Promise.all(children.map(isAlive))).every((alive) => !alive),
    {
      timeoutMs: 10_000,
    },
  );
});

async function descendants(pid: number): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
    const text = await Deno.readTextFile(`/proc/${pid}/task/${name}/children`).catch(() => "");
    for (const child of text.split(" ").filter(Boolean).map(Number)) found.push(child, ...await descendants(child));
  }
  return found;
}

/** A zombie counts as dead. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => undefined);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}
