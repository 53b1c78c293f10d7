/** Nodes that share partitions over a database of two tables, which does as the statements do. */
import assert from "node:assert/strict";
import { Directory } from "../../actors/runtime/directory.ts";
import { LEASE_MS } from "../../actors/runtime/node_lease.ts";
import { Placement } from "../../actors/runtime/placement.ts";
import type { DirectoryRow } from "../../db/nodes.ts";
import { type Grant, PARTITIONS } from "../../db/partitions.ts";
import type { Param, Sql } from "../../db/sql.ts";
import { Log } from "../../lib/log.ts";

const quiet = new class extends Log {
  override warn() {}
}("error");

export class PartitionTables implements Sql {
  readonly leases = new Map<string, { until: number; actors: boolean }>();
  readonly partitions = Array.from({ length: PARTITIONS }, () => ({ epoch: 0, node: null as string | null }));
  /** Statements that wrote, by name. */
  readonly written: string[] = [];
  isAway = false;
  /** Each statement takes a while, so that others come between. */
  pause: () => Promise<void> = () => Promise.resolve();

  renew(id: string, leaseMs: number, actors = true): DirectoryRow {
    // As the statement: what was so before it.
    const before = this.directory();
    this.leases.set(id, { until: performance.now() + leaseMs, actors });
    return before;
  }

  /** As a process that knows nothing of the partition's node. */
  raise(partition: number): void {
    this.partitions[partition]!.epoch++;
  }

  directory(): DirectoryRow {
    const now = performance.now();
    return {
      nodes: [...this.leases].map(([id, { until, actors }]) => ({
        id,
        url: null,
        actors,
        left_ms: until - now,
        started_at: "",
      })),
      owners: this.partitions.map((partition) => ({ ...partition })),
      now_ms: Date.now(),
    };
  }

  async query<Row>(_: string, _params?: readonly Param[], name?: string): Promise<Row[]> {
    assert.equal(name, "node.directory");
    await this.#answering();
    const rows = [this.directory()] as Row[];
    await this.pause();
    return rows;
  }

  async execute<Row>(_: string, params: readonly Param[] = [], name?: string): Promise<Row[]> {
    await this.#answering();
    if (name === "node.shorten") {
      this.#shorten(params[0] as number);
      return [];
    }
    const [node, partitions, epochs] = params as [string, number[], number[]];
    const rows: Grant[] = [];
    for (const [i, id] of partitions.entries()) {
      const partition = this.partitions[id]!;
      if (partition.epoch !== epochs[i]) continue;
      if (name === "partition.release" && partition.node === node) partition.node = null;
      if (name !== "partition.take" || !this.#isLive(node)) continue;
      if (partition.node !== null && partition.node !== node && this.#isLive(partition.node)) continue;
      partition.epoch++;
      partition.node = node;
      rows.push({ partition: id, epoch: partition.epoch });
    }
    this.written.push(name!);
    await this.pause();
    return rows as Row[];
  }

  script(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #answering(): Promise<void> {
    await this.pause();
    if (this.isAway) throw new Error("expected");
  }

  #shorten(leaseMs: number): void {
    const now = performance.now();
    for (const lease of this.leases.values()) if (lease.until > now + 2 * leaseMs) lease.until = now + leaseMs;
  }

  #isLive(id: string): boolean {
    return (this.leases.get(id)?.until ?? -Infinity) > performance.now();
  }
}

export interface PlacedNodeOptions {
  takes?: boolean;
  leaseMs?: number;
}

/** A node with a pool that only remembers its grants. */
export class PlacedNode implements Disposable {
  readonly epochs = new Map<number, number>();
  readonly directory = new Directory();
  readonly lease = { holds: true };
  readonly placement: Placement;
  /** The pool's calls, in order. */
  readonly done: string[] = [];
  canHost: (partition: number) => boolean = () => true;

  constructor(
    readonly id: string,
    readonly tables: PartitionTables,
    readonly nodes: PlacedNode[],
    private readonly options: PlacedNodeOptions = {},
  ) {
    nodes.push(this);
    const pool = {
      grants: [] as Grant[],
      grant: (grants: readonly Grant[]) => {
        for (const { partition, epoch } of grants) this.epochs.set(partition, epoch);
        this.done.push(`grant ${grants.length}`);
        checkOwners(nodes);
      },
      revoke: (partitions: Iterable<number>) => {
        const given = [...partitions].filter((partition) => this.epochs.delete(partition));
        this.done.push(`revoke ${given.length}`);
      },
      finish: (partitions: readonly number[]) => {
        this.done.push(`finish ${partitions.length}`);
        return tables.pause();
      },
      canHost: (partition: number) => this.canHost(partition),
    };
    Object.defineProperty(pool, "grants", { get: () => this.grants });
    this.placement = new Placement({
      id,
      sql: tables,
      pool,
      directory: this.directory,
      lease: this.lease,
      log: quiet,
      takes: () => options.takes ?? true,
      announce: () => {
        for (const node of nodes) if (node !== this) void node.placement.refresh();
      },
    });
  }

  get grants(): Grant[] {
    return [...this.epochs].map(([partition, epoch]) => ({ partition, epoch }));
  }

  get share(): number {
    return this.epochs.size;
  }

  /** As a renewal of its lease does. */
  renew({ actors = this.options.takes ?? true } = {}): void {
    if (this.tables.isAway) return;
    this.placement.update(this.tables.renew(this.id, this.options.leaseMs ?? 2 * LEASE_MS, actors));
  }

  /** Its process ends without a word. Its lease goes on for a while. */
  die(): void {
    this.nodes.splice(this.nodes.indexOf(this), 1);
    this.placement[Symbol.dispose]();
    this.lease.holds = false;
  }

  [Symbol.dispose](): void {
    this.placement[Symbol.dispose]();
  }
}

/** No two nodes with a lease have a partition. */
export function checkOwners(nodes: readonly PlacedNode[]): void {
  const owners = new Map<number, string>();
  for (const { id, epochs, lease } of nodes) {
    for (const partition of lease.holds ? epochs.keys() : []) {
      assert.equal(owners.get(partition), undefined, `${id} and another node have partition ${partition}`);
      owners.set(partition, id);
    }
  }
}
