/** Events, partitions and idle actors of a host. */
import assert from "node:assert/strict";
import { partitionOf, PARTITIONS } from "../../db/partitions.ts";
import type { Reply } from "../../actors/runtime/protocol.ts";
import { type Count, type CountCommand, event, settled, started } from "../support/counter_actor.ts";

Deno.test("Host stops writing after another node took the partition", async () => {
  const { sql, effects, host, code } = started();
  await code({ type: "add", n: 1 });
  sql.epoch = 2;
  assert.equal(await code({ type: "add", n: 1 }), "moved");
  assert.deepEqual([sql.total, effects.outdated, effects.faults], [1, [partitionOf("a")], 0]);
  sql.total = 9;
  host.grant(partitionOf("a"), 2);
  assert.equal(await code({ type: "add", n: 1 }), "ok");
  assert.deepEqual([sql.total, sql.loads], [10, 2]);
});

Deno.test("Host unloads actors of a partition that is granted again", async () => {
  const { sql, host, ask } = started();
  await ask({ type: "get" });
  [sql.total, sql.epoch] = [3, 2];
  host.grant(partitionOf("a"), 2);
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 3, seen: 0 } });
});

Deno.test("Host answers what waits for a partition that was given up as moved, and writes nothing of it", async () => {
  const { sql, host, code } = started();
  sql.gate = Promise.withResolvers();
  const begun = code({ type: "add", n: 1 });
  await settled();
  const waiting = code({ type: "add", n: 1 });
  host.revoke(partitionOf("a"));
  sql.gate.resolve();
  assert.deepEqual([await begun, await waiting, await code({ type: "get" })], ["ok", "moved", "moved"]);
  assert.equal(sql.total, 1);
});

Deno.test("Host loads an actor again if its partition went away and came back while it was loaded", async () => {
  const { sql, host, ask, code } = started();
  const gate = Promise.withResolvers<void>();
  sql.loading = gate.promise;
  const asked = code({ type: "add", n: 1 });
  await settled();
  host.revoke(partitionOf("a"));
  // Another node had it meanwhile.
  [sql.total, sql.epoch] = [9, 2];
  host.grant(partitionOf("a"), 2);
  gate.resolve();
  const said = await asked;
  assert.ok(said === "moved" || sql.loads === 2, "what was decided by the old state was written");
  const { total } = sql;
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total, seen: 0 } });
  assert.ok(sql.loads >= 2);
});

Deno.test("Host answers read models without any partition", async () => {
  const { host } = started();
  for (let partition = 0; partition < PARTITIONS; partition++) host.revoke(partition);
  const reply = await new Promise<Reply>((answer) =>
    host.ask({ kind: "feed", id: "a" }, { command: { type: "get" }, deadline: Infinity, arrived: 0, answer })
  );
  assert.deepEqual(reply, { ok: true, value: { total: 0, seen: 0 } });
});

Deno.test("Host says of each answer whether it was decided from memory", async () => {
  const { sql, host } = started();
  const from = (command: CountCommand) =>
    new Promise((resolve) =>
      host.ask({ kind: "page", id: "a" }, {
        command,
        deadline: Infinity,
        arrived: 0,
        answer: (_, from) => resolve(from),
      })
    );
  assert.deepEqual([await from({ type: "get" }), await from({ type: "refuse" })], ["memory", "memory"]);
  const committed = { seq: null, jobs: [] };
  assert.deepEqual([await from({ type: "add", n: 1 }), await from({ type: "guess" })], [committed, committed]);
  sql.unlucky = 13;
  assert.equal(await from({ type: "add", n: 13 }), undefined, "Postgres refused it");
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
  assert.equal(sql.loads, loads, "the youngest two are still there");
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

Deno.test("Host applies events of a turn that concern a page which it begins to watch", async () => {
  const { sql, host, ask } = started();
  const gate = Promise.withResolvers<void>();
  sql.loading = gate.promise;
  const first = ask({ type: "get" });
  await settled();
  host.absorb([event({ seq: 7, page_id: "watched" }), event({ seq: 8, page_id: "another" })]);
  gate.resolve();
  assert.deepEqual(await first, { ok: true, value: { total: 0, seen: 0 } });
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 0, seen: 7 } });
});
