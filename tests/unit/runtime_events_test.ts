/** Events, snapshots, partitions and idle actors of a host. */
import assert from "node:assert/strict";
import { partitionOf } from "../../db/partitions.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { type Count, type CountCommand, event, settled, started } from "../support/counter_actor.ts";

Deno.test("Host stops writing after another node took the partition", async () => {
  const { sql, effects, host, code } = started();
  await code({ type: "add", n: 1 });
  sql.epoch = 2;
  assert.equal(await code({ type: "add", n: 1 }), "overloaded");
  assert.deepEqual([sql.total, effects.fenced, effects.faults], [1, [partitionOf("a")], 0]);
  sql.total = 9;
  host.grant(partitionOf("a"), 2);
  assert.equal(await code({ type: "add", n: 1 }), "ok");
  assert.deepEqual([sql.total, sql.loads], [10, 2]);
});

Deno.test("Host unloads actors of a partition that is granted again", async () => {
  const { sql, host, ask } = started();
  await ask({ type: "get" });
  sql.total = 3;
  host.grant(partitionOf("a"), 1);
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 3, seen: 0 } });
});

Deno.test("Host sends a snapshot only when it changed, and before the answer", async () => {
  const { effects, code } = started();
  await code({ type: "get" });
  await code({ type: "add", n: 0 });
  assert.deepEqual(effects.snapshots, []);
  await code({ type: "add", n: 4 }).then(() => assert.deepEqual(effects.snapshots, [{ total: 4 }]));
});

Deno.test("Host sends a snapshot changed elsewhere after an event has made it load again", async () => {
  const { sql, effects, host, ask } = started();
  await ask({ type: "get" });
  sql.total = 9;
  const event: SequencedEvent = {
    seq: 1,
    kind: "page.updated",
    page_id: "a",
    post_id: null,
    user_id: null,
    data: null,
    at: "",
  };
  host.absorb([event]);
  await ask({ type: "get" }).then(() => assert.deepEqual(effects.snapshots, [{ total: 9 }]));
  host.absorb([event]);
  await ask({ type: "get" });
  assert.equal(effects.snapshots.length, 1, "an equal snapshot is sent again after a load");
});

Deno.test("Host unloads idle actors, not busy or recent ones", async () => {
  const { sql, clock, host, ask, code } = started();
  await code({ type: "get" }, { id: "idle" });
  sql.gate = Promise.withResolvers();
  const busy = ask({ type: "add", n: 1 }, { id: "busy" });
  await settled();
  clock.now += 1_001;
  await code({ type: "get" }, { id: "young" });
  host.sweep();
  assert.equal(host.stats().activations.page, 2);
  sql.gate.resolve();
  assert.equal((await busy).ok, true);
  const loads = sql.loads;
  await code({ type: "get" }, { id: "young" });
  assert.equal(sql.loads, loads);
  await code({ type: "get" }, { id: "idle" });
  assert.equal(sql.loads, loads + 1);
});

Deno.test("Host over its limit unloads the least recently used", async () => {
  const { sql, host, code } = started({ limits: { idleMs: 1_000_000, maxActivations: 2 } });
  for (const id of ["a", "b", "c", "a"]) await code({ type: "get" }, { id });
  host.sweep();
  assert.equal(host.stats().activations.page, 2);
  const loads = sql.loads;
  for (const id of ["a", "c"]) await code({ type: "get" }, { id });
  assert.equal(sql.loads, loads, "the two used last are still loaded");
  await code({ type: "get" }, { id: "b" });
  assert.equal(sql.loads, loads + 1);
});

Deno.test("Host applies watched events to active actors before later messages", async () => {
  const { sql, host, ask } = started();
  const seen = async (id: string) => {
    const answer = await ask({ type: "get" }, { id });
    return answer.ok && (answer.value as Count).seen;
  };
  await seen("a");
  await seen("b");
  host.absorb([event({ seq: 7 })]);
  assert.deepEqual([await seen("a"), await seen("b"), await seen("new")], [7, 0, 0]);
  host.absorb([event({ seq: 8, page_id: "watched" })]);
  assert.deepEqual([await seen("a"), await seen("b")], [8, 8]);
  const loads = sql.loads;
  host.absorb([event({ kind: "page.updated" })]);
  assert.deepEqual([await seen("a"), sql.loads], [0, loads + 1]);
});

Deno.test("Host applies an event that arrives during a turn after it, and before the next", async () => {
  const { sql, host, ask } = started();
  await ask({ type: "get" });
  sql.gate = Promise.withResolvers();
  const first = ask({ type: "add", n: 1 });
  const next = ask({ type: "get" });
  await settled();
  host.absorb([event({ seq: 9 })]);
  sql.gate.resolve();
  await first;
  assert.deepEqual(await next, { ok: true, value: { total: 1, seen: 9 } });
});

Deno.test("Host passes messages without a reply to active actors only", async () => {
  const { sql, host, ask } = started();
  host.tell({ kind: "page", id: "a" }, { type: "add", n: 1 } as CountCommand);
  await settled();
  assert.deepEqual([sql.loads, sql.total], [0, 0]);
  await ask({ type: "get" });
  host.tell({ kind: "page", id: "a" }, { type: "add", n: 1 } as CountCommand);
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 1, seen: 0 } });
});
