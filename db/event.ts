/**
 * A committed event: lean, because content is read where it is shown. What changes a page's numbers says by how much, in
 * `data.counts`: of posts, followers, requests, likes, replies.
 */
export interface SequencedEvent {
  /** Position in the one order, without gaps; also the event's id. */
  seq: number;
  kind: EventKind;
  page_id: string | null;
  post_id: string | null;
  /** Whom alone it concerns; null where it concerns the page's audience. */
  user_id: string | null;
  data: Record<string, unknown> | null;
  at: string;
}

/** All but the last two reach listeners (`live/frames.ts`); those and some others keep caches and subscriptions true. */
export type EventKind =
  | "post.created"
  | "post.updated"
  | "post.deleted"
  | "post.likes"
  | "page.hidden"
  | "page.shown"
  | "notification"
  | "notifications.read"
  | "post.liked"
  | "page.updated"
  | "follow.changed"
  | "replies.changed"
  | "account.changed"
  | "user.deleted";
