/** What a process reports: its threads added up, and counters of what is hard to cause in a whole node. */
import assert from "node:assert/strict";
import { type HostThread, Pool } from "../../actors/runtime/pool.ts";
import { RemoteActors } from "../../actors/runtime/remote_actors.ts";
import { type Bus, BusUnavailable, NoReply } from "../../lib/bus/bus.ts";
import { Log } from "../../lib/log.ts";
import { Metrics } from "../../lib/metrics/metrics.ts";
import { sampled } from "../../lib/metrics/samples.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { until } from "../support/wait.ts";

const REF = { kind: "page", id: "01890000-0000-7000-8000-00000000000a" } as const;

async function read(metrics = new Metrics()) {
  return parseMetrics(await metrics.text());
}

Deno.test("Values of one metric and labels are added, and a source that fails is left out", async () => {
  const metrics = new Metrics();
  const sample = (value: number) =>
    sampled("counter", "things_total", "Things of a test", [[{ kind: "a" }, value], [{ kind: `b${value}` }, 1]]);
  metrics.add(() => Promise.resolve([[sample(1)], [sample(2)]]));
  metrics.add(() => Promise.resolve([[sample(4)]]));
  metrics.add(() => Promise.reject(new Error("away")));
  const found = await read(metrics);
  assert.equal(valueOf(found, "rookery_things_total", { kind: "a" }), 7);
  assert.deepEqual([1, 2, 4].map((n) => valueOf(found, "rookery_things_total", { kind: `b${n}` })), [1, 1, 1]);
  assert.ok(found.has("process_cpu_seconds_total"));
});

Deno.test("Values of labels are escaped", async () => {
  const metrics = new Metrics();
  metrics.add(async () => [[sampled("gauge", "odd", "Odd labels", [[{ word: 'a"b\\c' }, 1]])]]);
  assert.equal(valueOf(await read(metrics), "rookery_odd", { word: 'a\\"b\\\\c' }), 1);
});

Deno.test("Calls to another node are counted by their outcome, and those sent again", async () => {
  const counted = async () => {
    const found = await read();
    const outcome = (name: string) =>
      valueOf(found, "rookery_node_call_duration_seconds_count", { outcome: name }) ?? 0;
    const retries = valueOf(found, "rookery_node_call_retries_total") ?? 0;
    return [outcome("answered"), outcome("unknown"), outcome("unreachable"), retries];
  };
  const before = await counted();
  const answers: (() => string)[] = [];
  const bus = { request: async () => answers.shift()!() } as unknown as Bus;
  await using remote = new RemoteActors({ bus, history: "h", stream: { position: 0, applied: async () => {} } });
  const refuse = (error: Error) => () => {
    throw error;
  };
  const away = refuse(new BusUnavailable("away"));
  const refusal = { ok: false, refusal: { code: "not-found" } };
  answers.push(away, () => JSON.stringify({ reply: { ok: true, value: 1 }, seq: 0 }));
  assert.equal(await remote.ask(REF, { type: "x" }), 1);
  answers.push(() => JSON.stringify({ reply: refusal, seq: 0 }), refuse(new NoReply("late")), away);
  await assert.rejects(remote.ask(REF, { type: "x" }), { code: "not-found" });
  await assert.rejects(remote.ask(REF, { type: "x" }), { code: "outcome-unknown" });
  await assert.rejects(remote.ask(REF, { type: "x" }, { timeoutMs: 100 }), { code: "actors-unavailable" });
  const after = await counted();
  assert.deepEqual(after.map((value, i) => value - before[i]!), [2, 1, 1, 1]);
});

Deno.test("A worker thread that is replaced is counted", async () => {
  const count = async () => valueOf(await read(), "rookery_actor_worker_restarts_total") ?? 0;
  const before = await count();
  const deaths: ((reason: string) => void)[] = [];
  const thread: HostThread = {
    post: () => {},
    onMessages: () => {},
    onDeath: (listener) => void deaths.push(listener),
    terminate: () => {},
  };
  await using _pool = await Pool.start({
    threads: 1,
    start: async () => ({ ...thread }),
    leases: { acquire: async () => [], [Symbol.asyncDispose]: async () => {} },
    log: new class extends Log {
      override error() {}
    }("error"),
    onCommitted: () => {},
    applied: async () => {},
    onSnapshot: () => {},
    onJobs: () => {},
    onPartitionsMoved: () => {},
    onFenced: () => {},
  });
  deaths[0]!("a crash");
  await until("the next one", () => deaths.length === 2);
  assert.equal(await count(), before + 1);
});
