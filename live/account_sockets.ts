import type { Cache } from "../lib/cache/cache.ts";

/** Interval at which a node publishes the sockets of its accounts, and how long the numbers are valid. */
const REPEAT_MS = 20_000;
const BELIEVED_MS = 60_000;
/** Accounts repeated at the same time. */
const BATCH = 100;

interface Options {
  cache: Cache;
  /** This node. */
  id: string;
  /** The other nodes whose leases are in force. */
  others: () => string[];
  /** The accounts with open sockets on this node, with their number. */
  counts: () => Iterable<[userId: string, sockets: number]>;
}

/**
 * The number of an account's sockets on all nodes. Each node publishes its number in the cache. Without the cache, each
 * node counts its own, so the limit holds per node.
 */
export class AccountSockets implements Disposable {
  #repeating = setInterval(() => void this.#repeat(), REPEAT_MS);

  constructor(private readonly options: Options) {}

  /**
   * The number on other nodes. `here` is the number on this node with the new one; it is published first, so of two
   * nodes that open a socket at the same time at least one sees both.
   */
  async elsewhere(userId: string, here: number): Promise<number> {
    const { cache, others } = this.options;
    const nodes = others();
    if (nodes.length === 0) return 0;
    try {
      await this.#publish(userId, here);
      const counts = await Promise.all(nodes.map((node) => cache.get(keyOf(userId, node))));
      return counts.reduce((sum, count) => sum + Number(count ?? 0), 0);
    } catch {
      return 0;
    }
  }

  /** The number on this node has changed. */
  changed(userId: string, here: number): void {
    if (this.options.others().length > 0) void this.#publish(userId, here).catch(() => {});
  }

  [Symbol.dispose](): void {
    clearInterval(this.#repeating);
  }

  async #publish(userId: string, here: number): Promise<void> {
    const { cache, id } = this.options;
    if (here > 0) await cache.set(keyOf(userId, id), String(here), BELIEVED_MS);
    else await cache.delete(keyOf(userId, id));
  }

  async #repeat(): Promise<void> {
    const { others, counts } = this.options;
    if (others().length === 0) return;
    const all = [...counts()];
    for (let i = 0; i < all.length; i += BATCH) {
      const batch = all.slice(i, i + BATCH).map(([userId, sockets]) => this.#publish(userId, sockets));
      // Without the cache no node reads them either.
      if ((await Promise.allSettled(batch)).some(({ status }) => status === "rejected")) return;
    }
  }
}

function keyOf(userId: string, node: string): string {
  return `sockets:${userId}:${node}`;
}
