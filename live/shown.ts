import type { SequencedEvent } from "../actors/runtime/protocol.ts";
import { livePosts } from "../db/events.ts";
import { liveNotifications } from "../db/notifications.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../log.ts";
import { needsPost, notificationOf, type Shown } from "./frames.ts";

const NONE: ReadonlyMap<string, never> = new Map<string, never>();

/** Reads what frames show, as it is at that moment. */
export class ShownReader {
  #closed = false;

  constructor(private readonly sql: Sql, private readonly log: Log) {}

  /** What these events' frames show. Nothing may be skipped: while the database is away, live delivery waits for it. */
  async read(events: readonly SequencedEvent[]): Promise<Shown> {
    const posts = unique(events.filter(needsPost).map((event) => event.post_id!));
    const notifications = unique(events.flatMap((event) => notificationOf(event) ?? []));
    return {
      posts: posts.length > 0 ? await this.#patiently(() => livePosts(this.sql, posts)) : NONE,
      notifications: notifications.length > 0
        ? await this.#patiently(() => liveNotifications(this.sql, notifications))
        : NONE,
    };
  }

  /** From now on nobody waits for the database. */
  close(): void {
    this.#closed = true;
  }

  async #patiently<T>(read: () => Promise<Map<string, T>>): Promise<ReadonlyMap<string, T>> {
    for (let pause = 50;; pause = Math.min(2_000, pause * 2)) {
      try {
        return await read();
      } catch (error) {
        if (this.#closed) return NONE;
        this.log.warn("what listeners are to be told could not be read yet", { error });
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}
