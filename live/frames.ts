import type { SequencedEvent } from "../actors/runtime/protocol.ts";
import type { LivePostRow } from "../db/events.ts";
import type { LiveNotificationRow } from "../db/notifications.ts";
import { renderLiveNotification, renderLivePost } from "../render.ts";
import type { Connection } from "./connection.ts";
import { encodeLiveCursor } from "./cursor.ts";

/** Whether listeners are told of this event at all. */
export function isTold({ kind }: SequencedEvent): boolean {
  return kind.startsWith("post.") || kind === "page.hidden" || kind === "page.shown" || kind === "notification";
}

/** The notification that its frame shows, which has to be read first. */
export function notificationOf({ kind, data }: SequencedEvent): string | undefined {
  return kind === "notification" ? data?.["id"] as string : undefined;
}

/** What frames show, as it is now. */
export interface Shown {
  posts: ReadonlyMap<string, LivePostRow>;
  notifications: ReadonlyMap<string, LiveNotificationRow>;
}

/** Whether its frame shows a post, which has to be read first. */
export function needsPost(event: SequencedEvent): boolean {
  return event.kind === "post.created" || event.kind === "post.updated" || event.kind === "post.likes";
}

/** Whether this listener is to be told, as far as pages go. */
export function concerns(connection: Connection, event: SequencedEvent): boolean {
  if (event.user_id !== null) return event.user_id === connection.userId;
  if (!event.page_id || !connection.pages.has(event.page_id)) return false;
  return !event.kind.startsWith("post.") || !connection.hidden.has(event.page_id);
}

/** A block: from here on nobody but staff is shown the page's posts. */
export function hides({ kind, user_id, data }: SequencedEvent): boolean {
  return kind === "page.hidden" && user_id === null && data?.["reason"] === "blocked";
}

export function hide(connection: Connection, page: string): void {
  if (!connection.staff && connection.pages.has(page)) connection.hidden.add(page);
}

/**
 * The frame of one event, serialised once for all who get the same. What differs: whether a reply's original on a private page is
 * shown as available, and whether a hidden page stays visible to this listener.
 */
export class Frame {
  #variants = new Map<boolean, string>();
  /** The post whose likes it tells. */
  readonly likesOf: string | undefined;
  private readonly post: LivePostRow | undefined;
  private readonly notification: LiveNotificationRow | undefined;

  constructor(
    private readonly event: SequencedEvent,
    { posts, notifications }: Shown,
    private readonly epoch: string,
  ) {
    this.post = posts.get(event.post_id ?? "");
    this.notification = notifications.get(notificationOf(event) ?? "");
    if (event.kind === "post.likes") this.likesOf = event.post_id ?? undefined;
  }

  /** Undefined where there is nothing to tell: the post is gone, and its deletion follows; a notification is told anew later. */
  for(connection: Connection): string | undefined {
    if (needsPost(this.event) && !this.post) return undefined;
    if (this.event.kind === "notification" && this.notification?.position !== this.event.seq) return undefined;
    const variant = this.#variantOf(connection);
    let text = this.#variants.get(variant);
    if (text === undefined) this.#variants.set(variant, text = this.#render(variant));
    return text;
  }

  #variantOf(connection: Connection): boolean {
    const { event, post } = this;
    if (event.kind === "page.hidden") {
      const reason = event.data?.["reason"];
      return reason === "private" || (reason === "blocked" && connection.staff);
    }
    if (post?.reply_audience !== "some") return post?.reply_audience === "everybody";
    return connection.staff || (post.reply_page_id !== null && connection.pages.has(post.reply_page_id));
  }

  #render(variant: boolean): string {
    const { event } = this;
    const cursor = encodeLiveCursor({ epoch: this.epoch, seq: event.seq });
    return JSON.stringify({ type: event.kind, id: String(event.seq), cursor, data: this.#data(variant) });
  }

  #data(variant: boolean): unknown {
    const { event, post } = this;
    switch (event.kind) {
      case "post.created":
      case "post.updated":
        return post && renderLivePost(post, variant);
      case "post.likes":
        return { id: event.post_id, page_id: event.page_id, like_count: post?.like_count };
      case "post.deleted":
        return { id: event.post_id, page_id: event.page_id };
      case "notification":
        return this.notification && renderLiveNotification(this.notification, this.epoch);
      case "page.hidden":
        return { page_id: event.page_id, reason: event.data?.["reason"] ?? null, visible: variant };
      default:
        return { page_id: event.page_id };
    }
  }
}
