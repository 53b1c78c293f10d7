import type { SequencedEvent } from "../db/event.ts";
import { livePosts } from "../db/events.ts";
import { liveNotifications, unreadOfAll } from "../db/notifications.ts";
import { livePages } from "../db/pages.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { needsPage, needsPost, needsUnread, notificationOf, type Shown } from "./frames.ts";
import { backoff } from "../lib/backoff.ts";
import { sleep } from "../lib/sleep.ts";

const RETRY_BACKOFF = backoff({ firstMs: 50, maxMs: 2_000 });
const NONE: ReadonlyMap<string, never> = new Map<string, never>();

/** Reads what frames show, as it is at that moment. */
export class ShownReader {
  #closed = false;

  constructor(private readonly sql: Sql, private readonly log: Log) {}

  /** What these events' frames show. Nothing may be skipped: while the database is away, live delivery waits for it. */
  async read(events: readonly SequencedEvent[]): Promise<Shown> {
    const posts = unique(events.filter(needsPost).map((event) => event.post_id!));
    const notifications = unique(events.flatMap((event) => notificationOf(event) ?? []));
    const pages = unique(events.filter(needsPage).map((event) => event.page_id!));
    const readers = unique(events.filter(needsUnread).map((event) => event.user_id!));
    return {
      posts: await this.#patiently(posts, (ids) => livePosts(this.sql, ids)),
      notifications: await this.#patiently(notifications, (ids) => liveNotifications(this.sql, ids)),
      pages: await this.#patiently(pages, (ids) => livePages(this.sql, ids)),
      unread: await this.#patiently(readers, (ids) => unreadOfAll(this.sql, ids)),
    };
  }

  /** From now on nobody waits for the database. */
  close(): void {
    this.#closed = true;
  }

  async #patiently<T>(
    ids: string[],
    read: (ids: string[]) => Promise<Map<string, T>>,
  ): Promise<ReadonlyMap<string, T>> {
    if (ids.length === 0) return NONE;
    for (let failures = 1;; failures++) {
      try {
        return await read(ids);
      } catch (error) {
        if (this.#closed) return NONE;
        this.log.warn("frames for listeners could not be read yet, retrying", { error });
        await sleep(RETRY_BACKOFF(failures));
      }
    }
  }
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}
