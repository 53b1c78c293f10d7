import { createHash } from "node:crypto";
import { AppError } from "../lib/errors.ts";

/**
 * Every paged list. A list with another order or other items has another name, because a cursor is valid in one list
 * only.
 */
export type ListName =
  | "accounts"
  | "pages"
  | "person.pages"
  | "page.posts"
  | "page.posts.processing"
  | "page.posts.failed"
  | "page.followers"
  | "page.requests"
  | "replies"
  | "likes"
  | "following"
  | "requested"
  | "feed"
  | "notifications"
  | "notifications.read"
  | "search.pages"
  | "search.users"
  | "kv.keys"
  | "vk.videos"
  | "jobs"
  | "moderation"
  | "reports.open"
  | "reports.taken"
  | "reports.closed";

/** A list about a subject, such as the posts of a page or the results of a search. */
export type List = ListName | `${ListName} ${string}`;

/** Enough to detect a cursor of another subject by mistake. Cursors are not trusted anyway. */
const SUBJECT_LENGTH = 8;

/** The list about this subject: ids and filters. It refuses cursors of other subjects. */
export function listAbout(name: ListName, ...subject: readonly (string | null | undefined)[]): List {
  const text = JSON.stringify(subject.map((part) => part ?? null));
  return `${name} ${createHash("sha256").update(text).digest("base64url").slice(0, SUBJECT_LENGTH)}`;
}

/** A cursor is the name of the list and the sort key of its last item: opaque, not secret, never trusted. */
export function encodeCursor(list: List, key: readonly string[]): string {
  return new TextEncoder().encode(JSON.stringify([list, ...key])).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** `path`: the field that had the cursor. */
export function wrongCursor(path = "cursor", detail?: string): AppError {
  const error = { path, rule: "foreign", message: "Expected a cursor that this list returned" };
  return new AppError("invalid-cursor", detail, { errors: [error] });
}

/**
 * The key in a cursor, ids in their canonical form. Each part must match its pattern. Throws `invalid-cursor`, also for
 * the cursor of another list.
 */
export function decodeCursor(list: List, cursor: string, patterns: readonly RegExp[], field?: string): string[] {
  try {
    const decoded: unknown = JSON.parse(UTF8.decode(Uint8Array.fromBase64(cursor, { alphabet: "base64url" })));
    const [name, ...key] = Array.isArray(decoded) ? decoded as unknown[] : [];
    if (
      name === list && key.length === patterns.length &&
      key.every((part, i): part is string => typeof part === "string" && patterns[i]!.test(part))
    ) return key.map((part, i) => patterns[i] === ID ? part.toLowerCase() : part);
  } catch {
    // Not base64, not UTF-8 or not JSON: the same error.
  }
  throw wrongCursor(field);
}

// Postgres has no year zero.
const TIME = /^(?!0000)\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}(\d{3})?Z$/;
export const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The most common key: a time and an id. */
export function decodeTimeCursor(list: List, cursor: string): { at: string; id: string } {
  const [at, id] = decodeCursor(list, cursor, [TIME, ID]);
  const time = new Date(at!);
  // A day that does not exist would be a database error later.
  if (Number.isNaN(time.getTime()) || time.toISOString() !== `${at!.slice(0, 23)}Z`) {
    throw wrongCursor();
  }
  return { at: at!, id: id! };
}
