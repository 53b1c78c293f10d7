import { tell } from "../actors/actors.ts";
import type { Pool } from "../actors/runtime/pool.ts";
import { HOST_LIMITS } from "../actors/runtime/host.ts";

/** Beyond this the least recently used readers are evicted. Their feed actors are then notified unconditionally. */
const MAX_READERS = 50_000;

/**
 * The feed actors that may be active: those read within an actor's idle time. Other feeds need no messages: they are
 * read from Postgres when their readers return.
 */
export class ActiveFeeds {
  #readAt = new Map<string, number>();
  #forgotten = 0;
  #lastRead = 0;

  constructor(private readonly actors: () => Pool) {}

  /** Whether anybody reads. If nobody does, actors need no messages about posts. */
  get any(): boolean {
    const last = this.#lastRead;
    return last !== 0 && last >= Date.now() - 2 * HOST_LIMITS.idleMs;
  }

  read(userId: string): void {
    this.#lastRead = Date.now();
    this.#readAt.delete(userId);
    this.#readAt.set(userId, Date.now());
    if (this.#readAt.size <= MAX_READERS) return;
    const [oldest, at] = this.#readAt.entries().next().value!;
    this.#readAt.delete(oldest);
    this.#forgotten = Math.max(this.#forgotten, at);
  }

  /** This person changed something about a post that only they see, such as a like. Their next read shows it. */
  refresh(userId: string, postId: string): void {
    // Twice the idle time, because actors are passivated by a periodic sweep.
    const since = Date.now() - 2 * HOST_LIMITS.idleMs;
    if ((this.#readAt.get(userId) ?? this.#forgotten) < since) return;
    tell(this.actors(), "feed", userId, "refresh", { post_id: postId });
  }
}
