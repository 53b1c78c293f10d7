/**
 * What Postgres promises the runtime, as a model: each statement happens at one moment between its request and its
 * answer. That the statements themselves do this is tested on Postgres (`tests/db/nodes_test.ts`).
 */
import assert from "node:assert/strict";
import { partitionOf, PARTITIONS } from "../../db/partitions.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { type Sql, SqlError } from "../../db/sql.ts";
import { Seeded } from "../support/seeded.ts";
import type { Process, SimulatedClock } from "./clock.ts";

/** A row of a commit: an addition to a page, or the end of an account's session. */
export interface CommitRow {
  turn: number;
  part: number;
  epoch: number;
  id: string;
  /** Which operation of a client it is. */
  operation: string;
}

export const PAGES: readonly string[] = Array.from({ length: 6 }, (_, i) => uuid(i));

const COMMITS: ReadonlySet<string> = new Set(["simulation.add", "simulation.revoke"]);
const LOADS: ReadonlySet<string> = new Set(["page.total", "feed.posts", "user.facets"]);
/** How much later some of them are answered. */
const LATE_MS = 4_000;
/** How much later some of those happen whose connection broke. */
const DELAYED_MS = 1_000;

interface NodeRow {
  id: string;
  leaseUntil: number;
  acknowledged: number;
  url: string | null;
  actors: boolean;
  startedAt: number;
}

export class SimulatedDatabase {
  isDown = false;
  /** The share of statements whose answer is lost though they happen, at once or later. */
  loss = 0.001;
  /** The same for commits, in some histories. */
  commitLoss = 0;
  /** Which, and when they happen. Apart, so that it changes nothing else of a history. */
  readonly #later: Seeded;
  /** Processes whose loads are answered about when this time has come, if a partition may have come back as well. */
  readonly slowUntil = new Map<Process, number>();
  /** How far its clock is from the true one. */
  clockOffset = 0;
  /** Processes that cannot reach it. */
  readonly cutOff = new Set<Process>();
  readonly nodes = new Map<string, NodeRow>();
  readonly partitions = Array.from({ length: PARTITIONS }, () => ({ epoch: 0, node: null as string | null }));
  readonly events: SequencedEvent[] = [];
  /** Page → operations that were added. */
  readonly pages = new Map<string, string[]>();
  readonly revoked = new Set<string>();
  acknowledgement = 1;
  /** `partition epoch` → the node that wrote under it. */
  readonly writers = new Map<string, string>();
  /** Called when a partition is taken from a node. */
  onTaken: (partition: number, from: string, by: string) => void = () => {};

  constructor(readonly clock: SimulatedClock, readonly random: Seeded) {
    this.#later = new Seeded(random.seed + 1);
  }

  get #now(): number {
    return this.clock.now + this.clockOffset;
  }

  sqlOf(process: Process): Sql {
    const run = <Row>(name: string | undefined, params: readonly unknown[] = []) =>
      this.#statement<Row>(process, name ?? "", params);
    return {
      query: (_, params, name) => run(name, params),
      execute: (_, params, name) => run(name, params),
      script: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    } as Sql;
  }

  #statement<Row>(process: Process, name: string, params: readonly unknown[]): Promise<Row[]> {
    const { clock, random } = this;
    return new Promise((resolve, reject) => {
      const fail = (kind: "unavailable" | "lost") =>
        clock.after(random.next() * 5, process, () => reject(new SqlError("the connection broke", kind)));
      const isAway = () => this.isDown || this.cutOff.has(process);
      if (isAway()) return void fail("unavailable");
      clock.after(latency(random), undefined, () => {
        if (isAway()) return void fail("unavailable");
        // A dead process's statement was under way, and may happen.
        const execute = () => JSON.stringify(this.#execute(process, name, params));
        if (random.chance(this.loss) || (COMMITS.has(name) && this.#later.chance(this.commitLoss))) {
          if (this.#later.chance(0.5)) execute();
          else clock.after(this.#later.next() * DELAYED_MS, undefined, execute);
          return void fail("lost");
        }
        const text = execute();
        const slowMs = LOADS.has(name) ? Math.max(0, (this.slowUntil.get(process) ?? 0) - clock.now) : 0;
        const lateMs = slowMs > 0 ? slowMs + (random.next() - 0.2) * LATE_MS : 0;
        clock.after(latency(random) + lateMs, process, () => resolve(JSON.parse(text)));
      });
    });
  }

  #execute(process: Process, name: string, params: readonly unknown[]): unknown[] {
    switch (name) {
      case "node.renew":
        return [this.#renew(params as [string, number, number, string | null, boolean])];
      case "node.directory":
        return [this.#directory()];
      case "node.shorten":
        for (const node of this.nodes.values()) {
          const leaseMs = params[0] as number;
          if (node.leaseUntil > this.#now + 2 * leaseMs) node.leaseUntil = this.#now + leaseMs;
        }
        return [];
      case "node.leave":
        this.nodes.delete(params[0] as string);
        return [];
      case "node.next_acknowledgement":
        return [{ mark: ++this.acknowledgement }];
      case "node.last_acknowledgement":
        return [{ mark: this.acknowledgement }];
      case "node.to_hear":
        return this.#unacknowledged(params as [string, number, number]);
      case "partition.take":
        return this.#take(params as [string, number[], number[]]);
      case "partition.release":
        return this.#release(params as [string, number[], number[]]);
      case "sequencer.state":
        return [{ epoch: "history", seq: this.events.length, floor: 0 }];
      case "event.after":
        return this.events.slice(params[0] as number, (params[0] as number) + (params[1] as number));
      case "user.facets":
        return (params[0] as string[]).map((id) => this.#account(id));
      case "page.total":
        return [{ total: this.pages.get(params[0] as string)?.length ?? 0 }];
      case "feed.posts":
        return [{ seq: this.events.length, posts: [...this.pages.values()].flat() }];
      case "simulation.add":
      case "simulation.revoke":
        return this.#commit(process, name, JSON.parse(params[0] as string));
      default:
        throw new Error(`The model has no statement ${name}`);
    }
  }

  #renew([id, leaseMs, acknowledged, url, actors]: [string, number, number, string | null, boolean]): unknown {
    const before = this.#directory();
    const startedAt = this.nodes.get(id)?.startedAt ?? this.clock.now;
    this.nodes.set(id, { id, leaseUntil: this.#now + leaseMs, acknowledged, url, actors, startedAt });
    return { ...before, mark: this.acknowledgement };
  }

  #directory() {
    const nodes = [...this.nodes.values()].map(({ id, url, actors, startedAt, leaseUntil }) => ({
      id,
      url,
      actors,
      started_at: String(startedAt),
      left_ms: leaseUntil - this.#now,
    }));
    return { nodes, owners: this.partitions.map((partition) => ({ ...partition })), now_ms: this.#now };
  }

  #unacknowledged([id, mark, marginMs]: [string, number, number]): unknown[] {
    return [...this.nodes.values()]
      .filter((node) => node.id !== id && node.acknowledged < mark && node.leaseUntil > this.#now - marginMs)
      .map((node) => ({ id: node.id }));
  }

  #take([by, ids, epochs]: [string, number[], number[]]): unknown[] {
    const isLive = (id: string) => (this.nodes.get(id)?.leaseUntil ?? -Infinity) > this.#now;
    if (!isLive(by)) return [];
    return ids.flatMap((id, i) => {
      const partition = this.partitions[id]!;
      const { node } = partition;
      if (partition.epoch !== epochs[i] || (node !== null && node !== by && isLive(node))) return [];
      if (node !== null && node !== by) this.onTaken(id, node, by);
      partition.epoch++;
      partition.node = by;
      return [{ partition: id, epoch: partition.epoch }];
    });
  }

  #release([by, ids, epochs]: [string, number[], number[]]): unknown[] {
    for (const [i, id] of ids.entries()) {
      const partition = this.partitions[id]!;
      if (partition.node === by && partition.epoch === epochs[i]) partition.node = null;
    }
    return [];
  }

  #account(id: string): unknown {
    const session = this.revoked.has(id) ? null : { id, generation: 0 };
    return { id, role: "user", verified: true, blocked_until: null, blocked_reason: null, session };
  }

  #commit(process: Process, name: string, rows: CommitRow[]): unknown[] {
    const events: SequencedEvent[] = [];
    const written = rows.filter(({ part, epoch }) => this.partitions[part]!.epoch === epoch);
    for (const { part, epoch, id, operation } of written) {
      assert.equal(part, partitionOf(id));
      const key = `${part} ${epoch}`;
      const writer = this.writers.get(key) ?? process.name;
      assert.equal(writer, process.name, `two nodes wrote under epoch ${epoch} of partition ${part}`);
      this.writers.set(key, writer);
      if (name === "simulation.revoke") this.revoked.add(id);
      else this.pages.set(id, [...this.pages.get(id) ?? [], operation]);
      const kind = name === "simulation.revoke" ? "account.changed" : "post.created";
      events.push({
        seq: this.events.length + events.length + 1,
        kind,
        page_id: kind === "post.created" ? id : null,
        post_id: null,
        user_id: kind === "account.changed" ? id : null,
        data: kind === "post.created" ? { operation } : null,
        at: String(this.clock.now),
      });
    }
    this.events.push(...events);
    const seq = events.at(-1)?.seq ?? null;
    return written.map(({ turn, id }, i) => ({
      turn,
      result: { total: this.pages.get(id)?.length ?? 0 },
      seq,
      events: i === 0 ? JSON.stringify(events) : null,
    }));
  }
}

function latency(random: Seeded): number {
  return random.chance(0.97) ? 0.2 + random.next() : random.next() * 60;
}

/** Ids of different partitions. */
export function uuid(n: number): string {
  return `01890000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;
}
