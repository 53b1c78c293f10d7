import type { DirectoryRow, NodeRow } from "../../db/nodes.ts";
import { type Grant } from "../../db/partitions.ts";

export interface KnownNode extends NodeRow {
  /** When its lease is over unless it was renewed, by this node's monotonic clock. Never earlier than it really is. */
  until: number;
}

/**
 * The nodes and the owners of the partitions, as last read from Postgres. It may be out of date: a node that does not
 * have the partition of a call answers `Moved`.
 */
export class Directory {
  #nodes = new Map<string, KnownNode>();
  #owners: DirectoryRow["owners"] = [];
  #listeners = new Set<() => void>();
  /** What to add to this process's clock to get the database's, in milliseconds. */
  #clockOffsetMs = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  update({ nodes, owners, now_ms }: DirectoryRow): void {
    const now = this.now();
    this.#nodes = new Map(nodes.map((node) => [node.id, { ...node, until: now + node.left_ms }]));
    this.#owners = owners;
    this.#clockOffsetMs = now_ms - now;
    for (const listen of [...this.#listeners]) listen();
  }

  /** Called after each update until the returned function is called. */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves at the next update, or after `ms`. */
  async updated(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = this.onUpdate(resolve);
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
    end();
  }

  get nodes(): KnownNode[] {
    return [...this.#nodes.values()];
  }

  /** Nodes that take partitions and whose lease is in force. */
  get owners(): KnownNode[] {
    const now = this.now();
    return this.nodes.filter(({ actors, until }) => actors && until > now);
  }

  /** Whether the node's lease may be in force. False is certain: the node writes and sends nothing any more. */
  isLive(id: string): boolean {
    const node = this.#nodes.get(id);
    return node !== undefined && node.until > this.now();
  }

  /** The node that has the partition, if its lease is in force. */
  ownerOf(partition: number): KnownNode | undefined {
    const id = this.#owners[partition]?.node;
    return id && this.isLive(id) ? this.#nodes.get(id) : undefined;
  }

  /** Whether the partition has a later epoch by now. */
  isOutdated({ partition, epoch }: Grant): boolean {
    return (this.#owners[partition]?.epoch ?? 0) > epoch;
  }

  /** The partitions of a node, whether its lease is in force or not. */
  ownedBy(id: string): Grant[] {
    return this.#owners.flatMap(({ node, epoch }, partition) => node === id ? [{ partition, epoch }] : []);
  }

  /** Partitions that no node with a lease has. */
  get free(): Grant[] {
    return this.#owners.flatMap(({ node, epoch }, partition) =>
      node !== null && this.isLive(node) ? [] : [{ partition, epoch }]
    );
  }

  /** The number of partitions of each node that takes some, fewest first. */
  get shares(): { id: string; partitions: number }[] {
    return this.owners.map(({ id }) => ({ id, partitions: this.ownedBy(id).length }))
      .sort((a, b) => a.partitions - b.partitions);
  }

  /** The clock of the database, in Unix milliseconds: one clock for all nodes, exact to a round trip. */
  get databaseTime(): number {
    return this.now() + this.#clockOffsetMs;
  }
}
