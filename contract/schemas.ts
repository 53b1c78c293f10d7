import { z } from "zod";
import { foldTag, TAG_MAX_WRITTEN, TAG_RULE } from "./tags.ts";
import { ACTS, TARGETS } from "../db/moderation_log.ts";
import { LETTER_TIMES, NOTIFICATION_KINDS } from "../db/notifications.ts";
import { canonicalEmail } from "../lib/folding.ts";
import { isReserved } from "./reserved.ts";
import { shownText } from "./text_rules.ts";
import { OUTCOMES, REPORT_STATES, REPORTED } from "../db/reports.ts";

/** Schemas that several resources share. Rules have the id of their source. */

/** Lower case is the canonical form (RFC 9562 §4): actors, caches and cursors compare text. */
export const id = z.uuid({ version: "v7" }).toLowerCase().meta({ description: "An id" });
/** An id of any version or none: the job of a digest has a hash. */
export const anyId = z.guid().toLowerCase().meta({ description: "An id" });
const time = z.iso.datetime().meta({ description: "RFC 3339, UTC" });

const notReserved = [
  (value: string) => !isReserved(value),
  { message: "Expected a word that is not reserved", params: { rule: "reserved" } },
] as const;

/** Latin letters and digits. */
export const login = z.string().min(2).max(64).regex(/^[A-Za-z0-9]+$/, "Expected Latin letters and digits only");
/** A login that a person chooses. */
export const newLogin = login.refine(...notReserved);
/** NFKC, with a lower-case and an upper-case Latin letter, a digit and a special character. */
export const password = z.string().normalize("NFKC").min(8).max(64)
  .regex(/[a-z]/, "Expected a lower-case Latin letter")
  .regex(/[A-Z]/, "Expected an upper-case Latin letter")
  .regex(/[0-9]/, "Expected a digit")
  .regex(/[^A-Za-z0-9\s]/, "Expected a special character");
/** Latin letters and `-`, not only hyphens. */
export const personName = z.string().min(2).max(32)
  .regex(/^[A-Za-z-]+$/, "Expected Latin letters and hyphens only")
  .regex(/[A-Za-z]/, "Expected more than hyphens");
/** An address by RFC 5321. An international domain may be in Unicode or ASCII; it is stored in ASCII. */
export const email = z.string().max(1_024).transform((value, check) => {
  const canonical = canonicalEmail(value);
  if (canonical !== undefined) return canonical;
  check.issues.push({ code: "invalid_format", format: "email", input: value, message: "Expected an email address" });
  return z.NEVER;
}).meta({ format: "email" });
/** A password to compare. Its form is not checked. */
export const givenPassword = z.string().min(1).max(256);
export const role = z.enum(["user", "moderator", "admin"]);
/** A handle. It does not look like the id of a page. */
export const handle = z.string().min(2).max(64)
  .regex(/^[A-Za-z0-9_-]+$/, "Expected Latin letters, digits, _ and - only")
  .refine((value) => !isId(value), "Expected something that does not look like an id")
  .refine(...notReserved);
/** Folded. Its written form may be longer than the folded one. */
export const tag = z.string().min(1).max(TAG_MAX_WRITTEN).transform((value, check) => {
  const folded = foldTag(value);
  if (folded !== undefined) return folded;
  check.issues.push({ code: "custom", input: value, message: TAG_RULE, params: { rule: "tag" } });
  return z.NEVER;
}).meta({ description: TAG_RULE });
export const pageName = shownText({ max: 80, lines: "one" });
export const blockEnd = z.iso.datetime({ offset: true });
/** The reason of an act of staff. It stays in the moderation log. */
export const reason = shownText({ max: 500, lines: "many" });
/** A time to compare with, in the range that both Postgres and JSON can hold. */
export const moment = z.iso.datetime({ offset: true })
  .refine(
    (value) => Date.parse(value) >= Date.UTC(1970) && Date.parse(value) < Date.UTC(10_000),
    "Expected a year from 1970 to 9999",
  )
  .transform((value) => new Date(value).toISOString());

export function isId(value: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value);
}

const block = z.object({
  reason: z.string().nullable(),
  until: time.nullable().meta({ description: "null is permanent" }),
}).nullable();

export const Account = z.object({
  id,
  login: z.string(),
  first_name: z.string(),
  last_name: z.string(),
  email: z.string(),
  email_verified: z.boolean(),
  pending_email: z.string().nullable(),
  email_bounce: z.object({
    address: z.string(),
    code: z.string().meta({ description: "Enhanced status code (RFC 3463)" }),
    at: time,
    until: time.meta({ description: "When sending is tried again" }),
  }).nullable().optional().meta({
    description: "A mail server reported that the address does not exist; in `GET /users/me` and `GET /users/{id}`",
  }),
  role,
  avatar_url: z.string().nullable(),
  page_id: id,
  blocked: block,
  created_at: time,
}).meta({ id: "Account" });

export const Card = z.object({
  id,
  login: z.string(),
  first_name: z.string(),
  last_name: z.string(),
  avatar_url: z.string().nullable(),
  page_id: id,
}).meta({ id: "Card" });

export const Page = z.object({
  id,
  uuid: z.string(),
  name: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  is_private: z.boolean(),
  avatar_url: z.string().nullable(),
  owner: Card,
  follower_count: z.int(),
  post_count: z.int(),
  follow_state: z.enum(["following", "requested", "none"]),
  blocked: block,
  created_at: time,
}).meta({ id: "Page" });

export const Photo = z.object({
  id,
  url: z.string().nullable().meta({ description: "The square in full size; null until the photo is ready" }),
  width: z.int().nullable(),
  height: z.int().nullable(),
  variants: z.array(z.object({ url: z.string(), width: z.int() })),
  placeholder: z.string().nullable().meta({ description: "BlurHash" }),
  alt: z.string().nullable(),
  state: z.enum(["processing", "ready", "failed"]),
  problem: z.string().nullable().meta({ description: "Why it failed" }),
}).meta({ id: "Photo" });

export const Post = z.object({
  id,
  page: z.object({ id, uuid: z.string(), name: z.string(), avatar_url: z.string().nullable() }),
  author: Card,
  text: z.string(),
  photos: z.array(Photo),
  tagged_users: z.array(z.string()),
  place: z.string().nullable(),
  reply_to: z.object({ id, state: z.enum(["available", "unavailable"]) }).nullable(),
  like_count: z.int(),
  reply_count: z.int(),
  liked: z.boolean(),
  state: z.enum(["ready", "processing", "failed"]),
  published_at: time.nullable(),
  created_at: time,
  updated_at: time,
}).meta({ id: "Post" });

export const Notification = z.object({
  id: z.uuid(),
  kind: z.enum(NOTIFICATION_KINDS),
  at: time,
  unread: z.boolean(),
  count: z.int().meta({ description: "Number of people; likes of a post are grouped" }),
  actors: z.array(Card).meta({ description: "Some of the people, latest first" }),
  page: z.object({ id, uuid: z.string(), name: z.string(), avatar_url: z.string().nullable() }),
  post: z.object({ id, text: z.string() }).nullable(),
  cursor: z.string().meta({
    description: "Marks everything up to this notification as read, for `POST /notifications/read`",
  }),
}).meta({ id: "Notification" });

export const NotificationSettings = z.object({
  letters: z.enum(LETTER_TIMES).meta({ description: "When emails about new posts are sent" }),
  bell: z.object(Object.fromEntries(NOTIFICATION_KINDS.map((kind) => [kind, z.boolean()]))).meta({
    description: "Which kinds are shown in the app",
  }),
}).meta({ id: "NotificationSettings" });

export const Job = z.object({
  id: z.guid(),
  kind: z.string(),
  state: z.enum(["waiting", "running", "dead", "unknown"]),
  attempts: z.int(),
  run_at: time.meta({ description: "When it is due" }),
  last_error: z.string().nullable(),
  user_id: z.string().nullable().meta({ description: "The account of the job" }),
  post_id: z.string().nullable().meta({ description: "The post of the job" }),
  created_at: time,
}).meta({ id: "Job" });

export const Node = z.object({
  id: z.uuid(),
  url: z.string().nullable().meta({ description: "Where other nodes reach it; null if that is not known yet" }),
  started_at: time,
  lease_ms: z.int().meta({ description: "Milliseconds until its lease ends unless it is renewed; 0 if it is over" }),
  live: z.boolean().meta({ description: "Whether its lease is in force" }),
  actors: z.boolean().meta({ description: "Whether it takes partitions" }),
  partitions: z.int().meta({ description: "How many of the 64 partitions it has" }),
  is_this_node: z.boolean().meta({ description: "Whether it is the node that answers" }),
}).meta({ id: "Node" });

/** Returns what an act would affect, without doing it. */
export const dryRun = z.enum(["true", "false"]).optional().meta({
  description: "Only report what the act would affect. Refused like the act itself; changes nothing",
});
export const Reach = z.object({
  dry_run: z.literal(true),
  pages: z.int(),
  posts: z.int().meta({ description: "Published posts" }),
  followers: z.int().meta({ description: "Distinct people" }),
}).meta({ id: "Reach" });

export const LogEntry = z.object({
  id: z.string().meta({ description: "Number in the chain" }),
  at: time,
  act: z.enum(ACTS),
  actor: z.object({ id: id.nullable(), login: z.string().nullable(), role: z.enum([...role.options, "system"]) }).meta({
    description: "As at the time of the act; without an account the system acted",
  }),
  target: z.object({ kind: z.enum(TARGETS), id, name: z.string() }),
  reason: z.string().nullable(),
  before: z.record(z.string(), z.unknown()).nullable(),
  after: z.record(z.string(), z.unknown()).nullable(),
  hash: z.string().meta({ description: "SHA-256 of the entry and the previous hash" }),
}).meta({ id: "LogEntry" });

const reportFields = {
  id,
  reason: z.string(),
  state: z.enum(REPORT_STATES),
  created_at: time,
};
const reportTarget = {
  kind: z.enum(REPORTED),
  id,
  name: z.string().meta({
    description: "A login, a handle, or a handle and the start of the post, as at the time of the report",
  }),
};
export const Report = z.object({ ...reportFields, target: z.object(reportTarget) }).meta({ id: "Report" });
export const HandledReport = z.object({
  ...reportFields,
  target: z.object({ ...reportTarget, gone: z.boolean() }),
  reporter: Card.nullable().meta({ description: "null if the account was deleted" }),
  handler: Card.nullable().meta({ description: "Who took or closed the report" }),
  outcome: z.enum(OUTCOMES).nullable(),
  note: z.string().nullable(),
  changed_at: time,
}).meta({ id: "HandledReport" });

export const TokenPair = z.object({
  access_token: z.string(),
  refresh_token: z.string(),
  token_type: z.literal("Bearer"),
  expires_in: z.int().meta({ description: "Lifetime of the access token, in seconds" }),
}).meta({ id: "TokenPair" });

export const Letter = z.object({
  from: z.string(),
  to: z.string(),
  subject: z.string(),
  text: z.string(),
  html: z.string().nullable(),
  at: time,
}).meta({ id: "Letter" });

const numbers = {
  posts: z.int(),
  followers: z.int(),
  requests: z.int(),
  likes: z.int(),
  replies: z.int(),
};

export const PageStats = z.object({
  from: z.iso.date(),
  to: z.iso.date(),
  totals: z.object(numbers).meta({ description: "Now" }),
  growth: z.object(numbers).meta({ description: "Difference between the end and the start of the period" }),
  daily: z.array(z.object({ date: z.iso.date(), ...numbers })).meta({ description: "At the end of each day" }),
}).meta({ id: "PageStats" });
