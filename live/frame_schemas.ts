import { z } from "zod";
import * as schemas from "../contract/schemas.ts";
import { CLOSE } from "./connection.ts";

/** What goes over a live socket. Everything that is sent fits one of these, and the AsyncAPI document is made of them. */

const cursor = z.string().meta({ description: "From here on: kept, it resumes the stream" });
const eventId = z.string().regex(/^\d+$/).meta({ description: "The event's; one that comes again has the same" });
const page_id = schemas.id;

/** A post as many listeners are shown it at once: without what is about one of them. */
export const LivePost = schemas.Post.omit({ liked: true }).meta({ id: "LivePost" });
export const LiveNotification = schemas.Notification.extend({ unread_count: z.int() }).meta({ id: "LiveNotification" });

function event<Type extends string, Data extends z.ZodType>(type: Type, description: string, data: Data) {
  return z.strictObject({ type: z.literal(type), id: eventId, cursor, data }).meta({ description });
}

export const FRAMES = {
  hello: z.strictObject({ type: z.literal("hello"), cursor, heartbeat_s: z.int().min(1) }).meta({
    description: "The first frame; a heartbeat comes every so many seconds",
  }),
  reset: z.strictObject({ type: z.literal("reset"), reason: z.enum(["too-old", "foreign", "future"]) }).meta({
    description: "Something may have been missed: read the feed again",
  }),
  heartbeat: z.strictObject({ type: z.literal("heartbeat"), cursor }).meta({
    description: "Nothing up to here is missing; renews the cursor of a quiet listener",
  }),
  "post.created": event("post.created", "A new post in the feed", LivePost),
  "post.updated": event("post.updated", "A post as it is now", LivePost),
  "post.deleted": event("post.deleted", "A post is gone", z.strictObject({ id: schemas.id, page_id })),
  "post.likes": event(
    "post.likes",
    "The latest count of likes, at most once in 250 ms for a post",
    z.strictObject({ id: schemas.id, page_id, like_count: z.int().min(0) }),
  ),
  "post.replies": event(
    "post.replies",
    "The latest count of the replies that this listener may see, at most once in 250 ms for a post",
    z.strictObject({ id: schemas.id, page_id, reply_count: z.int().min(0) }),
  ),
  "post.liked": event(
    "post.liked",
    "This account likes the post, or does so no more",
    z.strictObject({ id: schemas.id, page_id, liked: z.boolean() }),
  ),
  "page.hidden": event(
    "page.hidden",
    "The page's posts are not to be shown any more, unless it stays visible to this listener",
    z.strictObject({
      page_id,
      reason: z.enum(["blocked", "private", "deleted", "removed"]).nullable(),
      visible: z.boolean(),
    }),
  ),
  "page.shown": event("page.shown", "The page's posts may be shown again", z.strictObject({ page_id })),
  "page.updated": event(
    "page.updated",
    "What posts show of their page and its owner",
    z.strictObject({ page_id, page: schemas.Post.shape.page, author: schemas.Card }),
  ),
  "following.changed": event(
    "following.changed",
    "What this account is to the page now",
    z.strictObject({ page_id, state: z.enum(["following", "requested", "none", "own"]) }),
  ),
  "notification": event("notification", "A notification that is new, or new again", LiveNotification),
  "notifications.read": event(
    "notifications.read",
    "How many notifications are unread by now",
    z.strictObject({ unread_count: z.int().min(0) }),
  ),
} as const;

export type FrameType = keyof typeof FRAMES;

/** With which codes the service closes a socket, and what the client does then. */
export const CLOSE_CODES = [
  {
    code: CLOSE.sessionEnded,
    meaning: "The session has ended",
    then: "Refresh if the token merely aged; else sign in",
  },
  { code: CLOSE.blocked, meaning: "The account is blocked", then: "Stop" },
  {
    code: CLOSE.tooSlow,
    meaning: "Too slow, or a block did not get through in time",
    then: "Reconnect with the last cursor",
  },
  {
    code: CLOSE.restarting,
    meaning: "The node is restarting",
    then: "Reconnect with the last cursor, after a short random pause",
  },
  { code: CLOSE.policy, meaning: "Messages nobody asked for", then: "Mend the client" },
  { code: CLOSE.tooLong, meaning: "A message too long", then: "Mend the client" },
] as const;

export const CloseCode = z.literal(CLOSE_CODES.map(({ code }) => code));
