import { z } from "zod";
import * as schemas from "../contract/schemas.ts";
import { CLOSE } from "./connection.ts";

/** The frames of a live socket. Everything sent matches one of these; the AsyncAPI document is generated from them. */

const cursor = z.string().meta({ description: "Resumes the stream after this frame" });
const eventId = z.string().regex(/^\d+$/).meta({ description: "The event's id; a repeated event has the same id" });
const page_id = schemas.id;

/** A post as sent to many listeners at once, without the fields that differ by listener. */
export const LivePost = schemas.Post.omit({ liked: true }).meta({ id: "LivePost" });
export const LiveNotification = schemas.Notification.extend({ unread_count: z.int() }).meta({ id: "LiveNotification" });

function event<Type extends string, Data extends z.ZodType>(type: Type, description: string, data: Data) {
  return z.strictObject({ type: z.literal(type), id: eventId, cursor, data }).meta({ description });
}

export const FRAMES = {
  hello: z.strictObject({ type: z.literal("hello"), cursor, heartbeat_s: z.int().min(1) }).meta({
    description: "The first frame; `heartbeat_s` is the interval of heartbeats in seconds",
  }),
  reset: z.strictObject({ type: z.literal("reset"), reason: z.enum(["too-old", "foreign", "future"]) }).meta({
    description: "Events may have been missed: read the feed again",
  }),
  heartbeat: z.strictObject({ type: z.literal("heartbeat"), cursor }).meta({
    description: "Everything up to this cursor was sent; renews the cursor of a quiet listener",
  }),
  "post.created": event("post.created", "A new post in the feed", LivePost),
  "post.updated": event("post.updated", "The current state of a post", LivePost),
  "post.deleted": event("post.deleted", "A post was deleted", z.strictObject({ id: schemas.id, page_id })),
  "post.likes": event(
    "post.likes",
    "The current number of likes, at most once per 250 ms and post",
    z.strictObject({ id: schemas.id, page_id, like_count: z.int().min(0) }),
  ),
  "post.replies": event(
    "post.replies",
    "The current number of replies this listener may see, at most once per 250 ms and post",
    z.strictObject({ id: schemas.id, page_id, reply_count: z.int().min(0) }),
  ),
  "post.liked": event(
    "post.liked",
    "This account has liked the post or removed its like",
    z.strictObject({ id: schemas.id, page_id, liked: z.boolean() }),
  ),
  "page.hidden": event(
    "page.hidden",
    "Remove the page's posts from view, unless the page stays visible to this listener",
    z.strictObject({
      page_id,
      reason: z.enum(["blocked", "private", "deleted", "removed"]).nullable(),
      visible: z.boolean(),
    }),
  ),
  "page.shown": event("page.shown", "The page's posts may be shown again", z.strictObject({ page_id })),
  "page.updated": event(
    "page.updated",
    "The page's and owner's details as shown with posts",
    z.strictObject({ page_id, page: schemas.Post.shape.page, author: schemas.Card }),
  ),
  "following.changed": event(
    "following.changed",
    "This account's relation to the page",
    z.strictObject({ page_id, state: z.enum(["following", "requested", "none", "own"]) }),
  ),
  "notification": event("notification", "A notification that is new or was renewed", LiveNotification),
  "notifications.read": event(
    "notifications.read",
    "The number of unread notifications",
    z.strictObject({ unread_count: z.int().min(0) }),
  ),
} as const;

export type FrameType = keyof typeof FRAMES;

/** The codes with which the service closes a socket, and what the client should do. */
export const CLOSE_CODES = [
  {
    code: CLOSE.sessionEnded,
    meaning: "The session has ended",
    then: "Refresh the token if it has expired, otherwise sign in",
  },
  { code: CLOSE.blocked, meaning: "The account is blocked", then: "Stop" },
  {
    code: CLOSE.tooSlow,
    meaning: "The listener is too slow, or could not be informed of a block in time",
    then: "Reconnect with the last cursor",
  },
  {
    code: CLOSE.restarting,
    meaning: "The node is restarting",
    then: "Reconnect with the last cursor, after a short random pause",
  },
  { code: CLOSE.policy, meaning: "The client sent messages", then: "Fix the client" },
  { code: CLOSE.tooLong, meaning: "A message is too long", then: "Fix the client" },
] as const;

export const CloseCode = z.literal(CLOSE_CODES.map(({ code }) => code));
