/** What a process reports: its threads added up, and counters of what is hard to cause in a whole node. */
import assert from "node:assert/strict";
import { Moved } from "../../actors/runtime/protocol.ts";
import { type Bus, BusUnavailable, NoReply } from "../../lib/bus/bus.ts";
import { AppError } from "../../lib/errors.ts";
import { Metrics } from "../../lib/metrics/metrics.ts";
import { boundHistogram, histogram } from "../../lib/metrics/registry.ts";
import { sampled } from "../../lib/metrics/samples.ts";
import { directoryRow } from "../support/directories.ts";
import { FakePool } from "../support/fake_threads.ts";
import { HERE, NodeWorld, THERE } from "../support/node_world.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { until } from "../support/wait.ts";

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

Deno.test("Calls to another node are counted by their outcome, and those sent again by the reason", async () => {
  const counted = async () => {
    const found = await read();
    const outcomes = ["answered", "unknown", "unreachable"].map((outcome) =>
      valueOf(found, "rookery_node_call_duration_seconds_count", { outcome }) ?? 0
    );
    const retries = ["moved", "unreachable"].map((reason) =>
      valueOf(found, "rookery_node_call_retries_total", { reason }) ?? 0
    );
    return [...outcomes, ...retries];
  };
  const before = await counted();
  const ways: (Error | undefined)[] = [];
  const answers: (Error | undefined)[] = [];
  const fails = async (error: Error | undefined, otherwise: () => Promise<unknown>) => {
    if (error) throw error;
    return await otherwise();
  };
  await using world = new NodeWorld(
    () => fails(answers.shift(), () => Promise.resolve(1)),
    (bus) =>
      Object.assign(Object.create(bus), {
        request: (...call: Parameters<Bus["request"]>) => fails(ways.shift(), () => bus.request(...call)),
      }),
  );
  // Without an address, so that the bus is the only way.
  world.directory.update(directoryRow({ [HERE]: {}, [THERE]: { url: null } }, () => THERE));
  await world.serve();
  ways.push(new BusUnavailable("away"));
  assert.equal(await world.ask(), 1);
  answers.push(new Moved());
  assert.equal(await world.ask(), 1);
  answers.push(new AppError("not-found"));
  await assert.rejects(world.ask(), { code: "not-found" });
  ways.push(new NoReply("late"));
  await assert.rejects(world.ask(), { code: "outcome-unknown" });
  const after = await counted();
  assert.deepEqual(after.map((value, i) => value - before[i]!), [4, 1, 1, 1, 1]);
});

Deno.test("A worker thread that is replaced is counted", async () => {
  const count = async () => valueOf(await read(), "rookery_actor_worker_restarts_total") ?? 0;
  const before = await count();
  await using world = await FakePool.start();
  world.threads[0]!.die();
  await until("the next one", () => world.threads.length === 2);
  assert.equal(await count(), before + 1);
});

Deno.test("A bound histogram reports like that of prom-client", async () => {
  const values = [0, 0.001, 0.0011, 0.03, 0.25, 9.9, 10, 10.1, 1_000];
  const help = "Times of a test";
  const reference = histogram("reference_seconds", help, ["kind"]);
  const bound = boundHistogram<"kind">("bound_seconds", help);
  for (const kind of ["a", "b"]) {
    const observations = bound.bind({ kind });
    for (const value of kind === "a" ? values : values.slice(3)) {
      reference.observe({ kind }, value);
      observations.observe(value);
    }
  }
  const text = await new Metrics().text();
  const linesOf = (name: string) =>
    text.split("\n").filter((line) => line.includes(name)).map((line) => line.replaceAll(name, "x")).sort();
  assert.equal(linesOf("bound_seconds").length, 2 + 2 * 14);
  assert.deepEqual(linesOf("bound_seconds"), linesOf("reference_seconds"));
});
