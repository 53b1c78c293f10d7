import { HOST_LIMITS } from "../actors/runtime/host.ts";

/** Beyond this the least recently used readers are evicted. Their feeds are then notified unconditionally. */
const MAX_READERS = 50_000;

/**
 * The feeds that this node may have in memory: those read within an actor's idle time. Other feeds need no events: they
 * are read from Postgres when their readers return.
 */
export class ActiveFeeds {
  #readAt = new Map<string, number>();
  #forgotten = 0;
  #lastRead = 0;

  /** Whether the node has any reader. Without one, actors need no events about posts. */
  get any(): boolean {
    return this.#lastRead !== 0 && this.#lastRead >= oldest();
  }

  /** Whether this person may have a feed here. */
  has(userId: string): boolean {
    return (this.#readAt.get(userId) ?? this.#forgotten) >= oldest();
  }

  read(userId: string): void {
    this.#lastRead = Date.now();
    this.#readAt.delete(userId);
    this.#readAt.set(userId, this.#lastRead);
    if (this.#readAt.size <= MAX_READERS) return;
    const [first, at] = this.#readAt.entries().next().value!;
    this.#readAt.delete(first);
    this.#forgotten = Math.max(this.#forgotten, at);
  }
}

/** Twice the idle time, because actors are passivated by a periodic sweep. */
function oldest(): number {
  return Date.now() - 2 * HOST_LIMITS.idleMs;
}
