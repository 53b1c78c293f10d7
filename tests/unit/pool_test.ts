/** Which calls a node's pool accepts, and which of their answers count. */
import assert from "node:assert/strict";
import type { Pool } from "../../actors/runtime/pool.ts";
import { Moved, type Ref, type Reply } from "../../actors/runtime/protocol.ts";
import { partitionOf } from "../../db/partitions.ts";
import { AppError } from "../../lib/errors.ts";
import { FakePool, posted } from "../support/fake_threads.ts";
import { until } from "../support/wait.ts";

const ID = "01890000-0000-7000-8000-00000000000a";
const PARTITION = partitionOf(ID);
const REF: Ref = { kind: "page", id: ID };
const COMMAND = { type: "x" };
const OK: Reply = { ok: true, value: "value" };
const MINE = [{ partition: PARTITION, epoch: 1 }];

/** The value of a call, or the name of its error. */
async function outcome(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    return error instanceof AppError ? error.code : (error as Error).name;
  }
}

const ask = (pool: Pool) => outcome(pool.ask(REF, COMMAND));

async function answered(world: FakePool, reply: Reply, from: { seq?: number; remembered?: true } = {}): Promise<void> {
  await posted();
  const thread = world.threads.at(-1)!;
  thread.say({ type: "reply", call: thread.calls.at(-1)!.call, reply, ...from });
}

Deno.test("A pool has no partitions before it is granted some, and feeds from the beginning", async () => {
  await using world = await FakePool.start();
  assert.deepEqual(world.pool.grants, []);
  assert.equal(await ask(world.pool), "Moved");
  const feed = outcome(world.pool.ask({ kind: "feed", id: ID }, COMMAND));
  await answered(world, OK, { remembered: true });
  assert.equal(await feed, "value");
});

Deno.test("Calls go to the worker of their partition, after its grant", async () => {
  await using world = await FakePool.start(3);
  world.pool.grant(MINE);
  void ask(world.pool);
  await posted();
  const types = world.threads.map(({ got }) => got.map(({ type }) => type));
  const expected: string[][] = [[], [], []];
  expected[PARTITION % 3] = ["grant", "ask"];
  assert.deepEqual(types, expected);
  assert.deepEqual(world.pool.grants, MINE);
});

Deno.test("A partition that is given up takes no more calls, and the worker learns of it", async () => {
  await using world = await FakePool.start();
  world.pool.grant(MINE);
  world.pool.revoke([PARTITION]);
  world.pool.revoke([PARTITION]);
  assert.equal(await ask(world.pool), "Moved");
  await posted();
  assert.deepEqual(world.threads[0]!.got.map(({ type }) => type), ["grant", "revoke"]);
  assert.deepEqual(world.pool.grants, []);
});

Deno.test("Before a hand-over, calls in progress are finished while new ones are refused", async () => {
  await using world = await FakePool.start();
  world.pool.grant(MINE);
  const calls = [ask(world.pool), ask(world.pool)];
  let isFinished = false;
  const finishing = world.pool.finish([PARTITION], 5_000).then(() => isFinished = true);
  assert.equal(await ask(world.pool), "Moved");
  await posted();
  for (const { call } of world.threads[0]!.calls) {
    assert.equal(isFinished, false);
    world.threads[0]!.say({ type: "reply", call, reply: OK });
    await posted();
  }
  await finishing;
  assert.deepEqual(await Promise.all(calls), ["value", "value"]);
  assert.equal(world.pool.accepts(PARTITION), false, "until it is granted again");
  world.pool.grant([{ partition: PARTITION, epoch: 3 }]);
  assert.equal(world.pool.accepts(PARTITION), true);
});

Deno.test("A hand-over waits no longer than its time for a call that does not end", async () => {
  await using world = await FakePool.start();
  world.pool.grant(MINE);
  void ask(world.pool);
  const start = performance.now();
  await world.pool.finish([PARTITION], 60);
  const took = performance.now() - start;
  assert.ok(took >= 55 && took < 1_000, `${took} ms`);
});

Deno.test("A hand-over of idle partitions does not wait, and feeds do not delay it", async () => {
  await using world = await FakePool.start();
  world.pool.grant(MINE);
  void outcome(world.pool.ask({ kind: "feed", id: ID }, COMMAND));
  const start = performance.now();
  await world.pool.finish([PARTITION], 5_000);
  assert.ok(performance.now() - start < 1_000);
});

/** What happens between a call and its answer, and whether an answer from memory still counts. */
const BETWEEN: [what: string, happens: (world: FakePool) => void, remembered: string][] = [
  ["nothing happened", () => {}, "value"],
  ["the lease ended", ({ lease }) => lease.holds = false, "Moved"],
  ["the partition was given up", ({ pool }) => pool.revoke([PARTITION]), "Moved"],
  ["the partition was given up and taken again", ({ pool }) => {
    pool.revoke([PARTITION]);
    pool.grant([{ partition: PARTITION, epoch: 3 }]);
  }, "Moved"],
  ["the partition is about to be given up", ({ pool }) => void pool.finish([PARTITION], 1), "value"],
];

for (const [what, happens, remembered] of BETWEEN) {
  Deno.test(`After ${what}, an answer from memory ${remembered === "value" ? "counts" : "is dropped"}`, async () => {
    await using world = await FakePool.start();
    world.pool.grant(MINE);
    for (const reply of [OK, { ok: false, refusal: { code: "forbidden" } } as const]) {
      const call = ask(world.pool);
      await posted();
      happens(world);
      await answered(world, reply, { remembered: true });
      const wanted = remembered === "value" && !reply.ok ? reply.refusal.code : remembered;
      assert.equal(await call, wanted);
      world.lease.holds = true;
      world.pool.grant(MINE);
    }
  });

  Deno.test(`After ${what}, what a commit answered counts`, async () => {
    await using world = await FakePool.start();
    world.pool.grant(MINE);
    for (const from of [{}, { seq: 7 }]) {
      const call = ask(world.pool);
      await posted();
      happens(world);
      await answered(world, OK, from);
      world.waits.at(-1)?.done();
      assert.equal(await call, "value");
      world.lease.holds = true;
      world.pool.grant(MINE);
    }
  });
}

Deno.test("A write is answered after this node's caches have its events", async () => {
  await using world = await FakePool.start();
  world.pool.grant(MINE);
  let isAnswered = false;
  const call = ask(world.pool).then(() => isAnswered = true);
  await answered(world, OK, { seq: 9 });
  await posted();
  assert.deepEqual([isAnswered, world.waits.map(({ seq }) => seq)], [false, [9]]);
  world.waits[0]!.done();
  await call;
});

Deno.test("Answers that the worker refuses as moved, and fences, are passed on", async () => {
  await using world = await FakePool.start();
  world.pool.grant(MINE);
  const call = ask(world.pool);
  await answered(world, { ok: false, moved: true });
  assert.equal(await call, new Moved().name);
  world.threads[0]!.say({ type: "outdated", partition: PARTITION, epoch: 0 });
  assert.deepEqual(world.reports.outdated, [], "a former epoch says nothing about this one");
  world.threads[0]!.say({ type: "outdated", partition: PARTITION, epoch: world.pool.grants[0]!.epoch });
  assert.deepEqual(world.reports.outdated, [PARTITION]);
});

Deno.test("After a worker's death its calls have an unknown outcome, and its partitions need new epochs", async () => {
  await using world = await FakePool.start(2);
  const other = { partition: PARTITION + 1, epoch: 1 };
  world.pool.grant([...MINE, other]);
  const call = ask(world.pool);
  await posted();
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  world.threads[PARTITION % 2]!.die();
  assert.equal(await call, "outcome-unknown");
  assert.deepEqual(world.pool.grants, [other]);
  assert.equal(await ask(world.pool), "Moved");
  assert.deepEqual([world.pool.canHost(PARTITION), world.pool.canHost(other.partition)], [false, true]);
  world.pool.grant([{ partition: PARTITION, epoch: 2 }]);
  assert.equal(world.pool.accepts(PARTITION), false, "there is no worker to grant it to");
  gate.resolve();
  await until("the new worker", () => world.pool.canHost(PARTITION));
});

Deno.test("When a worker was replaced, its partitions are asked for again", async () => {
  await using world = await FakePool.start();
  assert.equal(world.reports.replaced, 0, "at the start nothing is replaced");
  world.threads[0]!.die();
  await until("the new worker", () => world.threads.length === 2);
  await posted();
  assert.equal(world.reports.replaced, 1);
});

Deno.test("A hand-over ends when the worker with its calls dies", async () => {
  await using world = await FakePool.start();
  world.pool.grant(MINE);
  const call = ask(world.pool);
  const finishing = world.pool.finish([PARTITION], 5_000);
  const start = performance.now();
  world.threads[0]!.die();
  await finishing;
  assert.ok(performance.now() - start < 1_000);
  assert.equal(await call, "outcome-unknown");
});
