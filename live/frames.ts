import type { EventKind, SequencedEvent } from "../db/event.ts";
import type { LivePostRow } from "../db/events.ts";
import type { LiveNotificationRow } from "../db/notifications.ts";
import type { LivePageRow } from "../db/pages.ts";
import { renderLiveNotification, renderLivePage, renderLivePost } from "../contract/render.ts";
import type { Connection } from "./connection.ts";
import { encodeLiveCursor } from "./cursor.ts";

/** The frame type of an event. Other event kinds produce no frame. */
const TYPES: { readonly [Kind in EventKind]?: string } = {
  "post.created": "post.created",
  "post.updated": "post.updated",
  "post.deleted": "post.deleted",
  "post.likes": "post.likes",
  "replies.changed": "post.replies",
  "page.hidden": "page.hidden",
  "page.shown": "page.shown",
  "page.updated": "page.updated",
  // For the sockets of one account.
  "post.liked": "post.liked",
  "follow.changed": "following.changed",
  "notification": "notification",
  "notifications.read": "notifications.read",
};
/** Events that show something of a page, and that a block of the page hides. */
const SHOWING: ReadonlySet<EventKind> = new Set(
  ["post.created", "post.updated", "post.deleted", "post.likes", "replies.changed", "page.updated"],
);
const OF_POSTS: ReadonlySet<EventKind> = new Set(["post.created", "post.updated", "post.likes", "replies.changed"]);

/** Whether this event produces a frame. */
export function reachesListeners({ kind }: SequencedEvent): boolean {
  return TYPES[kind] !== undefined;
}

/** The id of the notification shown by the event's frame. It is read before the frame is built. */
export function notificationOf({ kind, data }: SequencedEvent): string | undefined {
  return kind === "notification" ? data?.["id"] as string : undefined;
}

/** What frames show, as currently stored. */
export interface Shown {
  posts: ReadonlyMap<string, LivePostRow>;
  notifications: ReadonlyMap<string, LiveNotificationRow>;
  pages: ReadonlyMap<string, LivePageRow>;
  /** Unread notifications by account. */
  unread: ReadonlyMap<string, number>;
}

/** Whether the event's frame shows a post, which is read before the frame is built. */
export function needsPost(event: SequencedEvent): boolean {
  return OF_POSTS.has(event.kind);
}

export function needsPage({ kind }: SequencedEvent): boolean {
  return kind === "page.updated";
}

export function needsUnread({ kind }: SequencedEvent): boolean {
  return kind === "notifications.read";
}

/** Whether this listener receives the event, as far as its pages decide. */
export function concerns(connection: Connection, event: SequencedEvent): boolean {
  if (event.user_id !== null) return event.user_id === connection.userId;
  if (!event.page_id || !connection.pages.has(event.page_id)) return false;
  return !isHidden(connection, event);
}

/** Whether the event shows something of a page that a block hides from this listener. */
export function isHidden(connection: Connection, { kind, page_id }: SequencedEvent): boolean {
  return SHOWING.has(kind) && page_id !== null && connection.hidden.has(page_id);
}

/** Whether the event is a block: after it, only staff may see the page's posts. */
export function hides({ kind, user_id, data }: SequencedEvent): boolean {
  return kind === "page.hidden" && user_id === null && data?.["reason"] === "blocked";
}

/** Whether the event ends following, or a request: the page is not in its account's feed after it. */
export function unfollows({ kind, data }: SequencedEvent): boolean {
  return kind === "follow.changed" && data?.["state"] !== "following" && data?.["state"] !== "own";
}

export function hide(connection: Connection, page: string): void {
  if (!connection.staff && connection.pages.has(page)) connection.hidden.add(page);
}

/** What differs between listeners of one event. */
interface Variant {
  /** Whether a reply's original is shown as available. */
  original: boolean;
  /** How many replies the listener may see. */
  replies: number;
  /** Whether a hidden page stays visible to the listener. */
  visible: boolean;
}

/** The frame of one event, serialised once per variant. */
export class Frame {
  #variants = new Map<string, string>();
  /** The key of the count it carries, if the count is throttled. */
  readonly paced: string | undefined;
  private readonly post: LivePostRow | undefined;
  private readonly notification: LiveNotificationRow | undefined;
  private readonly page: LivePageRow | undefined;
  private readonly unread: number;

  constructor(
    private readonly event: SequencedEvent,
    { posts, notifications, pages, unread }: Shown,
    private readonly historyId: string,
  ) {
    this.post = posts.get(event.post_id ?? "");
    this.notification = notifications.get(notificationOf(event) ?? "");
    this.page = pages.get(event.page_id ?? "");
    this.unread = unread.get(event.user_id ?? "") ?? 0;
    const isCount = event.kind === "post.likes" || event.kind === "replies.changed";
    if (isCount) this.paced = `${event.kind} ${event.post_id}`;
  }

  /**
   * Undefined if there is nothing to send: the post is gone and its deletion follows, or the notification is sent again
   * later.
   */
  for(connection: Connection): string | undefined {
    if (needsPost(this.event) && !this.post) return undefined;
    if (needsPage(this.event) && !this.page) return undefined;
    if (this.event.kind === "replies.changed" && !receivesReplyCount(connection, this.event)) return undefined;
    if (this.event.kind === "notification" && this.notification?.position !== this.event.seq) return undefined;
    const variant = this.#variantOf(connection);
    const key = `${variant.original} ${variant.replies} ${variant.visible}`;
    let text = this.#variants.get(key);
    if (text === undefined) this.#variants.set(key, text = this.#render(variant));
    return text;
  }

  #variantOf(connection: Connection): Variant {
    const { event, post } = this;
    const reason = event.kind === "page.hidden" ? event.data?.["reason"] : undefined;
    return {
      original: post !== undefined && seesOriginal(connection, post),
      replies: post ? repliesSeen(connection, post) : 0,
      visible: reason === "private" || (reason === "blocked" && connection.staff),
    };
  }

  #render(variant: Variant): string {
    const { event } = this;
    const cursor = encodeLiveCursor({ historyId: this.historyId, seq: event.seq });
    return JSON.stringify({ type: TYPES[event.kind], id: String(event.seq), cursor, data: this.#data(variant) });
  }

  #data(variant: Variant): unknown {
    const { event, post } = this;
    switch (event.kind) {
      case "post.created":
      case "post.updated":
        return post && renderLivePost(post, variant);
      case "post.likes":
        return { id: event.post_id, page_id: event.page_id, like_count: post?.like_count };
      case "replies.changed":
        return { id: event.post_id, page_id: event.page_id, reply_count: variant.replies };
      case "post.liked":
        return { id: event.post_id, page_id: event.page_id, liked: event.data?.["liked"] };
      case "follow.changed":
        return { page_id: event.page_id, state: event.data?.["state"] };
      case "notifications.read":
        return { unread_count: this.unread };
      case "page.updated":
        return this.page && renderLivePage(this.page);
      case "post.deleted":
        return { id: event.post_id, page_id: event.page_id };
      case "notification":
        return this.notification &&
          renderLiveNotification(this.notification, { user: event.user_id!, historyId: this.historyId });
      case "page.hidden":
        return { page_id: event.page_id, reason: event.data?.["reason"] ?? null, visible: variant.visible };
      default:
        return { page_id: event.page_id };
    }
  }
}

function seesOriginal({ staff, pages }: Connection, { reply_audience, reply_page_id }: LivePostRow): boolean {
  if (reply_audience !== "some") return reply_audience === "everybody";
  return staff || (reply_page_id !== null && pages.has(reply_page_id));
}

/**
 * Counts of replies go to everybody if all replies are public. Otherwise to staff and to those who see one of the
 * replies' pages.
 */
function receivesReplyCount({ staff, pages, hidden }: Connection, { data }: SequencedEvent): boolean {
  const withheld = data?.["withheld"] as string[] | undefined;
  return withheld === undefined || staff || withheld.some((page) => pages.has(page) && !hidden.has(page));
}

function repliesSeen({ staff, pages }: Connection, { reply_count, withheld_replies }: LivePostRow): number {
  const seen = withheld_replies?.filter(({ page_id, blocked }) => staff || (!blocked && pages.has(page_id))) ?? [];
  return seen.reduce((sum, { n }) => sum + n, reply_count);
}
