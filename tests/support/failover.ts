/** A cluster under load and faults, and what its clients and listeners saw. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import type { Cluster } from "./cluster.ts";
import { FailoverAudience } from "./failover_audience.ts";
import { holdEmails } from "./failover_emails.ts";
import { type FailoverPeople, makeFailoverPeople } from "./failover_people.ts";
import type { FailoverServices } from "./failover_services.ts";
import { fetchFromVk, storeVkTokens } from "./failover_vk.ts";
import { FailoverWorkload } from "./failover_workload.ts";
import type { Seeded } from "./seeded.ts";
import { assertCountersTrue, assertHistoryWhole } from "./write_workload.ts";

export interface Fault {
  /** As the table has it. */
  name: string;
  /** The longest time without an acknowledged write, in milliseconds, that the fault may cause. */
  maxGapMs: number;
  /** Connections to the database end: what was sent by email may not be recorded. */
  endsDatabase?: boolean;
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

/** What was checked beside the writes. */
interface Checked {
  photos: number;
  replies: number;
  privatePosts: number;
  emails: number;
  unknownEmails: number;
  vkProfiles: number;
}

export class Failover implements AsyncDisposable {
  readonly results = new Map<string, FaultResult>();
  /** Write gaps over their limits. Judged at the end, so that a long run shows all that it found. */
  readonly tooLong: string[] = [];
  writes = 0;
  #rounds = 0;
  #checked: Checked = { photos: 0, replies: 0, privatePosts: 0, emails: 0, unknownEmails: 0, vkProfiles: 0 };

  private constructor(
    private readonly cluster: Cluster,
    private readonly services: FailoverServices,
    private readonly random: Seeded,
    private readonly slack: number,
    private readonly people: FailoverPeople,
    private readonly audience: FailoverAudience,
  ) {}

  /** On a machine that does other work as well, gaps may be `slack` times as long. */
  static async start(
    cluster: Cluster,
    services: FailoverServices,
    random: Seeded,
    slack: number,
  ): Promise<Failover> {
    await services.serve(cluster);
    const people = await makeFailoverPeople(cluster);
    await storeVkTokens(people.all);
    const audience = await FailoverAudience.start(cluster, people);
    return new Failover(cluster, services, random, slack, people, audience);
  }

  /** One round: load before, during and after the fault, then everything is held against the database. */
  async round(fault: Fault): Promise<FaultResult> {
    const { cluster, random, people } = this;
    using workload = new FailoverWorkload(random, cluster.nodes, people, `round ${++this.#rounds} `);
    let stopped = false;
    const running = Promise.all([
      workload.run(CLIENTS, () => stopped),
      fetchFromVk(workload.client, people.all, random),
    ]);
    // A failure ends the load, and is thrown below.
    running.catch(() => void (stopped = true));
    await sleep(BEFORE_MS);
    const awayMs = await fault.cause(cluster, random) ?? 0;
    await sleep(AFTER_MS);
    stopped = true;
    const [, vkProfiles] = await running;
    await workload.posts.photosReady(cluster.nodes[0]!.sql);
    const deliveryMs = await this.audience.hold(workload);
    await workload.holdAgainst(cluster.nodes[0]!.sql);
    await this.#holdEmails(workload, fault);
    this.#count(workload, vkProfiles);
    const gapMs = Math.max(0, workload.longestGapMs - awayMs);
    const before = this.results.get(fault.name);
    const result = {
      name: fault.name,
      rounds: (before?.rounds ?? 0) + 1,
      writes: (before?.writes ?? 0) + workload.client.writes,
      worstGapMs: Math.max(before?.worstGapMs ?? 0, Math.round(gapMs)),
      worstDeliveryMs: Math.max(before?.worstDeliveryMs ?? 0, Math.round(deliveryMs - awayMs)),
      slowestWriteMs: Math.max(before?.slowestWriteMs ?? 0, Math.round(workload.client.slowest)),
    };
    this.results.set(fault.name, result);
    const max = fault.maxGapMs * this.slack;
    if (gapMs > max) this.tooLong.push(`${fault.name}: ${Math.round(gapMs)} ms without an acknowledged write`);
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

  /** What the load had beside posts and likes. */
  get summary(): string {
    const { photos, replies, privatePosts, emails, unknownEmails, vkProfiles } = this.#checked;
    return `Once each: ${photos} photo posts, ${replies} replies, ${privatePosts} private posts, ` +
      `${emails} emails (${unknownEmails} of unknown outcome, as the database ended), ${vkProfiles} own VK profiles`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.audience[Symbol.asyncDispose]();
  }

  async #holdEmails({ posts }: FailoverWorkload, { name, endsDatabase }: Fault): Promise<void> {
    const { cluster, services, people } = this;
    const emailed = posts.of("emailed");
    const unknown = await holdEmails(cluster.nodes[0]!.sql, services.mail, emailed, people.emails);
    assert.ok(endsDatabase || unknown === 0, `${name}: ${unknown} emails of unknown outcome`);
    this.#checked.emails += emailed.length * people.emails.length;
    this.#checked.unknownEmails += unknown;
  }

  #count({ posts, client }: FailoverWorkload, vkProfiles: number): void {
    this.writes += client.writes;
    this.#checked.photos += posts.of("photo").length;
    this.#checked.replies += posts.of("reply").length;
    this.#checked.privatePosts += posts.of("private").length;
    this.#checked.vkProfiles += vkProfiles;
  }
}

function s(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
