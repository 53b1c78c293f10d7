/**
 * A committed event. It is small, because content is read when it is shown. An event that changes the numbers of a page
 * has the differences in `data.counts`: posts, followers, requests, likes, replies.
 */
export interface SequencedEvent {
  /** Position in the sequence, without gaps; also the id of the event. */
  seq: number;
  kind: EventKind;
  page_id: string | null;
  post_id: string | null;
  /** The only recipient; null if it is for the audience of the page. */
  user_id: string | null;
  data: Record<string, unknown> | null;
  at: string;
}

/**
 * All but the last two reach listeners (`live/frames.ts`); those and some others invalidate caches and subscriptions.
 */
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
