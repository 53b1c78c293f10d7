import type { SequencedEvent } from "../db/event.ts";
import { livePosts } from "../db/events.ts";
import { liveNotifications, unreadOfAll } from "../db/notifications.ts";
import { livePages } from "../db/pages.ts";
import type { Reader } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { needsPage, needsPost, needsUnread, notificationOf, type Shown } from "./frames.ts";
import { backoff } from "../lib/backoff.ts";
import { sleep } from "../lib/sleep.ts";

const RETRY_BACKOFF = backoff({ firstMs: 50, maxMs: 2_000 });
const NONE: ReadonlyMap<string, never> = new Map<string, never>();

/** Reads what frames show, as currently stored. */
export class ShownReader {
  #closed = false;

  constructor(private readonly sql: Reader, private readonly log: Log) {}

  /**
   * What these events' frames show. No event may be skipped, so live delivery waits while the database is unavailable,
   * as long as somebody needs the frames. The result is incomplete if nobody does.
   */
  async read(events: readonly SequencedEvent[], isNeeded: () => boolean): Promise<Shown> {
    const posts = unique(events.filter(needsPost).map((event) => event.post_id!));
    const notifications = unique(events.flatMap((event) => notificationOf(event) ?? []));
    const pages = unique(events.filter(needsPage).map((event) => event.page_id!));
    const readers = unique(events.filter(needsUnread).map((event) => event.user_id!));
    return {
      posts: await this.#withRetry(posts, (ids) => livePosts(this.sql, ids), isNeeded),
      notifications: await this.#withRetry(notifications, (ids) => liveNotifications(this.sql, ids), isNeeded),
      pages: await this.#withRetry(pages, (ids) => livePages(this.sql, ids), isNeeded),
      unread: await this.#withRetry(readers, (ids) => unreadOfAll(this.sql, ids), isNeeded),
    };
  }

  /** Ends all retries. */
  close(): void {
    this.#closed = true;
  }

  async #withRetry<T>(
    ids: string[],
    read: (ids: string[]) => Promise<Map<string, T>>,
    isNeeded: () => boolean,
  ): Promise<ReadonlyMap<string, T>> {
    if (ids.length === 0) return NONE;
    for (let failures = 1;; failures++) {
      try {
        return await read(ids);
      } catch (error) {
        if (this.#closed || !isNeeded()) return NONE;
        this.log.warnOften("reading frames failed, retrying", {}, { error });
        await sleep(RETRY_BACKOFF(failures));
      }
    }
  }
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}
