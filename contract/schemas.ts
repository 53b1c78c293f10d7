import { z } from "zod";
import { foldTag, TAG_MAX_WRITTEN, TAG_RULE } from "./tags.ts";
import { ACTS, TARGETS } from "../db/moderation_log.ts";
import { LETTER_TIMES, NOTIFICATION_KINDS } from "../db/notifications.ts";
import { canonicalEmail } from "../lib/folding.ts";
import { isReserved } from "./reserved.ts";
import { shownText } from "./text_rules.ts";
import { OUTCOMES, REPORT_STATES, REPORTED } from "../db/reports.ts";

/** The shapes that more than one resource speaks in. Rules carry the id of where they come from. */

/** One id has one spelling from here on, whatever its case was (RFC 9562 §4): actors, caches and cursors compare texts. */
export const id = z.uuid({ version: "v7" }).toLowerCase().meta({ description: "An id" });
/** Of whatever made it. */
export const anyId = z.uuid().toLowerCase().meta({ description: "An id" });
const time = z.iso.datetime().meta({ description: "RFC 3339, UTC" });

const notReserved = [
  (value: string) => !isReserved(value),
  { message: "Expected a word that is not reserved", params: { rule: "reserved" } },
] as const;

/** Latin letters and digits (S3). */
export const login = z.string().min(2).max(64).regex(/^[A-Za-z0-9]+$/, "Expected Latin letters and digits only");
/** One that a person chooses. */
export const newLogin = login.refine(...notReserved);
/** In NFKC, a lower-case and an upper-case Latin letter, a digit and a special character (S3). */
export const password = z.string().normalize("NFKC").min(8).max(64)
  .regex(/[a-z]/, "Expected a lower-case Latin letter")
  .regex(/[A-Z]/, "Expected an upper-case Latin letter")
  .regex(/[0-9]/, "Expected a digit")
  .regex(/[^A-Za-z0-9\s]/, "Expected a special character");
/** Latin letters and `-`, not hyphens alone (S3). */
export const personName = z.string().min(2).max(32)
  .regex(/^[A-Za-z-]+$/, "Expected Latin letters and hyphens only")
  .regex(/[A-Za-z]/, "Expected more than hyphens");
/** An address by RFC 5321; an international domain in Unicode or in ASCII, which is the form it is kept in. */
export const email = z.string().max(1_024).transform((value, check) => {
  const canonical = canonicalEmail(value);
  if (canonical !== undefined) return canonical;
  check.issues.push({ code: "invalid_format", format: "email", input: value, message: "Expected an e-mail address" });
  return z.NEVER;
}).meta({ format: "email" });
/** A password as it is given to be compared: judged by that, not by its form. */
export const givenPassword = z.string().min(1).max(256);
export const role = z.enum(["user", "moderator", "admin"]);
/** A handle, which can be told from a page's id. */
export const handle = z.string().min(2).max(64)
  .regex(/^[A-Za-z0-9_-]+$/, "Expected Latin letters, digits, _ and - only")
  .refine((value) => !isId(value), "Expected something that does not look like an id")
  .refine(...notReserved);
/** Folded; how it was written may be longer than what is counted. */
export const tag = z.string().min(1).max(TAG_MAX_WRITTEN).transform((value, check) => {
  const folded = foldTag(value);
  if (folded !== undefined) return folded;
  check.issues.push({ code: "custom", input: value, message: TAG_RULE, params: { rule: "tag" } });
  return z.NEVER;
}).meta({ description: TAG_RULE });
export const pageName = shownText({ max: 80, lines: "one" });
export const blockEnd = z.iso.datetime({ offset: true });
/** Why staff do something to somebody; in the record for good. */
export const reason = shownText({ max: 500, lines: "many" });
/** A moment to compare with, within the years that Postgres and the wire both know. */
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
  until: time.nullable().meta({ description: "null is for good" }),
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
    until: time.meta({ description: "When e-mails are tried again" }),
  }).nullable().optional().meta({
    description: "A mail server said that the address does not exist; in `GET /users/me` and `GET /users/{id}`",
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
  url: z.string().nullable().meta({ description: "The square at full size; null until it is ready" }),
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
  count: z.int().meta({ description: "How many people did it; likes of a post are one notification" }),
  actors: z.array(Card).meta({ description: "A few of them, latest first" }),
  page: z.object({ id, uuid: z.string(), name: z.string(), avatar_url: z.string().nullable() }),
  post: z.object({ id, text: z.string() }).nullable(),
  cursor: z.string().meta({ description: "Up to here, for `POST /notifications/read`" }),
}).meta({ id: "Notification" });

export const NotificationSettings = z.object({
  letters: z.enum(LETTER_TIMES).meta({ description: "When letters about new posts come" }),
  bell: z.object(Object.fromEntries(NOTIFICATION_KINDS.map((kind) => [kind, z.boolean()]))).meta({
    description: "Which kinds are told in the app",
  }),
}).meta({ id: "NotificationSettings" });

export const Job = z.object({
  id: z.uuid(),
  kind: z.string(),
  state: z.enum(["waiting", "running", "dead", "unknown"]),
  attempts: z.int(),
  run_at: time.meta({ description: "When it is due" }),
  last_error: z.string().nullable(),
  user_id: z.string().nullable().meta({ description: "The account it is about" }),
  post_id: z.string().nullable().meta({ description: "The post it is about" }),
  created_at: time,
}).meta({ id: "Job" });

/** Asks what an act would touch, and does nothing. */
export const dryRun = z.enum(["true", "false"]).optional().meta({
  description: "Only tell what it would touch: refused as the act itself would be, and nothing is changed",
});
export const Reach = z.object({
  dry_run: z.literal(true),
  pages: z.int(),
  posts: z.int().meta({ description: "Published ones" }),
  followers: z.int().meta({ description: "People, each once" }),
}).meta({ id: "Reach" });

export const LogEntry = z.object({
  id: z.string().meta({ description: "Its number in the chain" }),
  at: time,
  act: z.enum(ACTS),
  actor: z.object({ id: id.nullable(), login: z.string().nullable(), role: z.enum([...role.options, "system"]) }).meta({
    description: "As they were then; without an account the system acted by itself",
  }),
  target: z.object({ kind: z.enum(TARGETS), id, name: z.string() }),
  reason: z.string().nullable(),
  before: z.record(z.string(), z.unknown()).nullable(),
  after: z.record(z.string(), z.unknown()).nullable(),
  hash: z.string().meta({ description: "SHA-256 over the entry and the hash of the one before" }),
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
  name: z.string().meta({ description: "A login, a handle, or a handle and how the post began, as they were then" }),
};
export const Report = z.object({ ...reportFields, target: z.object(reportTarget) }).meta({ id: "Report" });
export const HandledReport = z.object({
  ...reportFields,
  target: z.object({ ...reportTarget, gone: z.boolean() }),
  reporter: Card.nullable().meta({ description: "null once the account is gone" }),
  handler: Card.nullable().meta({ description: "Who took or closed it" }),
  outcome: z.enum(OUTCOMES).nullable(),
  note: z.string().nullable(),
  changed_at: time,
}).meta({ id: "HandledReport" });

export const TokenPair = z.object({
  access_token: z.string(),
  refresh_token: z.string(),
  token_type: z.literal("Bearer"),
  expires_in: z.int().meta({ description: "Seconds the access token lives" }),
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
  growth: z.object(numbers).meta({ description: "At the end of the period, less those at its start" }),
  daily: z.array(z.object({ date: z.iso.date(), ...numbers })).meta({ description: "At the end of each day" }),
}).meta({ id: "PageStats" });
