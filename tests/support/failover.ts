/** A cluster under load and faults, and what its clients and listeners saw. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import type { Cluster } from "./cluster.ts";
import { FailoverWorkload } from "./failover_workload.ts";
import { makePeople, type Person } from "./person.ts";
import type { Seeded } from "./seeded.ts";
import { SteadyListener } from "./steady_listener.ts";
import { until } from "./wait.ts";
import { assertCountersTrue, assertHistoryWhole } from "./write_workload.ts";

export interface Fault {
  /** As the table has it. */
  name: string;
  /** The longest time without an acknowledged write, in milliseconds, that the fault may cause. */
  maxGapMs: number;
  /** Causes the fault and resolves when it is over. Returns how long a server was away, which extends the limit. */
  cause(cluster: Cluster, random: Seeded): Promise<number | void>;
}

/** What one fault did, over all its rounds. */
export interface FaultResult {
  name: string;
  rounds: number;
  writes: number;
  /** Milliseconds. Those of servers that were away are subtracted. */
  worstGapMs: number;
  worstDeliveryMs: number;
  slowestWriteMs: number;
}

const CLIENTS = 6;
const BEFORE_MS = 500;
const AFTER_MS = 1_500;

export class Failover implements AsyncDisposable {
  readonly results = new Map<string, FaultResult>();
  writes = 0;
  #rounds = 0;

  private constructor(
    private readonly cluster: Cluster,
    private readonly random: Seeded,
    private readonly slack: number,
    private readonly people: readonly Person[],
    private readonly listeners: readonly SteadyListener[],
  ) {}

  /**
   * People follow each other, and some listen, each first at another node. On a machine that does other work as well,
   * gaps may be `slack` times as long.
   */
  static async start(cluster: Cluster, random: Seeded, slack: number): Promise<Failover> {
    const people = await makePeople(cluster.nodes[0]!, 6);
    for (const person of people) {
      for (const other of people) if (person !== other) await person.do("PUT", `/pages/${other.page_id}/follow`);
    }
    const listeners = people.slice(0, cluster.nodes.length).map((person, i) =>
      new SteadyListener(person, cluster.nodes, i)
    );
    await until("all listen", () => listeners.every(({ connections }) => connections > 0));
    return new Failover(cluster, random, slack, people, listeners);
  }

  /** One round: load before, during and after the fault, then everything is held against the database. */
  async round(fault: Fault): Promise<FaultResult> {
    const { cluster, random } = this;
    const workload = new FailoverWorkload(random, cluster.nodes, this.people, `round ${++this.#rounds} `);
    let stopped = false;
    const running = workload.run(CLIENTS, () => stopped);
    await sleep(BEFORE_MS);
    const awayMs = await fault.cause(cluster, random) ?? 0;
    await sleep(AFTER_MS);
    stopped = true;
    await running;
    const deliveryMs = await this.#delivered(workload);
    await workload.holdAgainst(cluster.nodes[0]!.sql);
    this.writes += workload.acknowledged.length;
    const gapMs = Math.max(0, workload.longestGap() - awayMs);
    const before = this.results.get(fault.name);
    const result = {
      name: fault.name,
      rounds: (before?.rounds ?? 0) + 1,
      writes: (before?.writes ?? 0) + workload.acknowledged.length,
      worstGapMs: Math.max(before?.worstGapMs ?? 0, Math.round(gapMs)),
      worstDeliveryMs: Math.max(before?.worstDeliveryMs ?? 0, Math.round(deliveryMs - awayMs)),
      slowestWriteMs: Math.max(before?.slowestWriteMs ?? 0, Math.round(workload.slowest)),
    };
    this.results.set(fault.name, result);
    const max = fault.maxGapMs * this.slack;
    assert.ok(gapMs <= max, `${fault.name}: ${Math.round(gapMs)} ms without an acknowledged write`);
    return result;
  }

  /** What is kept beside what it counts, and the numbers of events. */
  async holdHistory(): Promise<void> {
    const { sql } = this.cluster.nodes[0]!;
    await assertCountersTrue(sql);
    await assertHistoryWhole(sql);
  }

  /** As Markdown. Nothing was lost or doubled, or the round had failed. */
  get table(): string {
    const rows = [...this.results.values()].map((result) => {
      const { name, rounds, writes, worstGapMs, worstDeliveryMs, slowestWriteMs } = result;
      return `| ${name} | ${rounds} | ${writes} | ${s(worstGapMs)} | ${s(worstDeliveryMs)} | ${
        s(slowestWriteMs)
      } | 0 | 0 |`;
    });
    return [
      "| Fault | Rounds | Writes | Worst write gap | Worst delivery gap | Slowest write | Lost | Doubled |",
      "| --- | --- | --- | --- | --- | --- | --- | --- |",
      ...rows,
    ].join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.listeners) await listener[Symbol.asyncDispose]();
  }

  /** Every listener received every post once and in order. The longest time from acknowledgement to receipt. */
  async #delivered({ posts }: FailoverWorkload): Promise<number> {
    let worst = 0;
    for (const listener of this.listeners) {
      await until("every post was received", () => [...posts.values()].every(({ id }) => listener.received.has(id)));
      const { doubled, disordered, resets } = listener;
      assert.deepEqual({ doubled, disordered, resets }, { doubled: [], disordered: 0, resets: 0 });
      for (const { id, at } of posts.values()) worst = Math.max(worst, listener.received.get(id)! - at);
    }
    return worst;
  }
}

function s(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
