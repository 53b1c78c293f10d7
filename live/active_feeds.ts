import { tell } from "../actors/actors.ts";
import type { Pool } from "../actors/runtime/pool.ts";
import { HOST_LIMITS } from "../actors/runtime/host.ts";

/** People whose reading is remembered; over it the longest silent are forgotten, and told though nobody may listen. */
const MOST = 50_000;

/**
 * Which feed actors may be active: those that were read within the time an idle actor is kept. What happens to other people's
 * feeds needs no message, since it is read from Postgres when they come back.
 */
export class ActiveFeeds {
  #readAt = new Map<string, number>();
  #forgotten = 0;
  #lastRead = 0;

  constructor(private readonly actors: () => Pool) {}

  /** Whether anybody reads at all; if not, posts need not be told to the actors. */
  get any(): boolean {
    const last = this.#lastRead;
    return last !== 0 && last >= Date.now() - 2 * HOST_LIMITS.idleMs;
  }

  read(userId: string): void {
    this.#lastRead = Date.now();
    this.#readAt.delete(userId);
    this.#readAt.set(userId, Date.now());
    if (this.#readAt.size <= MOST) return;
    const [oldest, at] = this.#readAt.entries().next().value!;
    this.#readAt.delete(oldest);
    this.#forgotten = Math.max(this.#forgotten, at);
  }

  /** This person did something to a post that only they see, such as liking it: their next read shows it. */
  refresh(userId: string, postId: string): void {
    // Twice the time, since an actor is passivated by a sweep, not to the second.
    const since = Date.now() - 2 * HOST_LIMITS.idleMs;
    if ((this.#readAt.get(userId) ?? this.#forgotten) < since) return;
    tell(this.actors(), "feed", userId, "refresh", { post_id: postId });
  }
}
