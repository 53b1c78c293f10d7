import type { z } from "zod";
import { AppError, type FieldError } from "../lib/errors.ts";
import { refuseRepeatedKeys } from "./repeated_keys.ts";
import type { WaitingBodies } from "./waiting_bodies.ts";

/** Default limit of a JSON body, in bytes (`docs/limits.md`). */
export const MAX_BODY_BYTES = 64 * 1024;

/** The queue in which a short body is awaited, and the address it counts for. */
export interface BodyWait {
  bodies: WaitingBodies;
  address: string;
}

/** The text of a JSON body. Checks the type and the announced length before it reads. */
export async function readJsonText(request: Request, wait: BodyWait, bound = MAX_BODY_BYTES): Promise<string> {
  const type = request.headers.get("content-type");
  if (!type || !/^application\/json *(;|$)/i.test(type)) {
    throw new AppError(
      "unsupported-media-type",
      `Expected application/json, got ${type ? `"${type.slice(0, 100)}"` : "no content type"}`,
    );
  }
  try {
    return await read(request, wait, bound);
  } catch (error) {
    if (error instanceof AppError) throw error;
    // The client disconnected or broke the transfer coding. Not logged, as any client can do that.
    throw new AppError("invalid-json", "The request body ended before it was complete", { cause: error });
  }
}

/** The bytes of a body that other nodes send. Throws `body-too-large` and `request-timeout`. */
export async function readBytes(request: Request, { bodies, address }: BodyWait, bound: number): Promise<Uint8Array> {
  if (!request.body) return new Uint8Array();
  return await bodies.wait(address, chunksOf(request.body, bound));
}

async function read(request: Request, { bodies, address }: BodyWait, bound: number): Promise<string> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > bound) throw tooLarge(bound);
  // Deno's own method is the fastest.
  if (announced !== null && Number(announced) <= MAX_BODY_BYTES) {
    return decoded(await bodies.wait(address, request.bytes()));
  }
  if (!request.body) return "";
  return bound > MAX_BODY_BYTES
    ? await readChunks(patient(request.body), bound)
    : await bodies.wait(address, readChunks(request.body, bound));
}

async function readChunks(body: AsyncIterable<Uint8Array>, bound: number): Promise<string> {
  return decoded(await chunksOf(body, bound));
}

async function chunksOf(body: AsyncIterable<Uint8Array>, bound: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > bound) throw tooLarge(bound);
    chunks.push(chunk);
  }
  return await new Blob(chunks as BlobPart[]).bytes();
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** JSON is UTF-8 (RFC 8259 §8.1). Invalid bytes would be stored as other text. */
function decoded(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new AppError("invalid-json", "The request body is not UTF-8");
  }
}

/**
 * Limits of a long body: silence, total time, and the average rate while we wait for it. Few may upload at the same
 * time, so a slow client would hold the place of others (`docs/limits.md`).
 */
const SILENCE_MS = 20_000;
const MAX_DURATION_MS = 10 * 60_000;
const MIN_BYTES_A_SECOND = 1_024;

/** The chunks of a body. Throws `request-timeout` if the client is too slow. */
export async function* patient(
  body: ReadableStream<Uint8Array>,
  { silenceMs = SILENCE_MS, maxMs = MAX_DURATION_MS } = {},
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const begun = Date.now();
  let heard = begun;
  let waited = 0;
  let received = 0;
  let lost = false;
  // One interval for all chunks: a timer for each would cost more than reading it.
  const watch = setInterval(() => {
    const now = Date.now();
    if (heard === Infinity) return;
    const silent = now - heard;
    const behind = waited + silent - received / MIN_BYTES_A_SECOND * 1_000;
    if (silent < silenceMs && behind < silenceMs && now - begun < maxMs) return;
    lost = true;
    void reader.cancel().catch(() => {});
  }, Math.min(1_000, silenceMs / 4));
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (lost) throw new AppError("request-timeout");
      if (done) return;
      waited += Date.now() - heard;
      received += value.byteLength;
      // While the consumer works, the clock of the client stands still.
      heard = Infinity;
      yield value;
      heard = Date.now();
    }
  } finally {
    clearInterval(watch);
    void reader.cancel().catch(() => {});
  }
}

/** Parses JSON. Throws `invalid-json` or `repeated-keys`. */
export function parseText(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new AppError("invalid-json");
  }
  refuseRepeatedKeys(text, value);
  return value;
}

/** Encoded bodies are not decoded: throws a 415 with the reason (RFC 9110 §15.5.16). */
export function refuseEncoded({ headers }: Request): void {
  const coding = headers.get("content-encoding");
  if (coding === null || /^ *(identity *)?$/i.test(coding)) return;
  throw new AppError(
    "unsupported-media-type",
    `Expected no content encoding, got ${JSON.stringify(coding.slice(0, 100))}`,
    {
      headers: { "accept-encoding": "identity" },
    },
  );
}

/** JSON that can be stored as text. Throws `validation` otherwise. */
export function parseJson(text: string): unknown {
  const value = parseText(text);
  // Only an escape can contain what Postgres cannot store as text.
  if (text.includes("\\u") && !storable(value)) throw unstorable(unstorablePath(value));
  return value;
}

/** The path of an error that concerns the whole body. */
export const WHOLE_BODY = "body";

/** Parses by the schema. Throws `validation` with every invalid field. */
export function validated<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  let parsed: z.ZodSafeParseResult<z.output<T>>;
  try {
    parsed = schema.safeParse(value);
  } catch (error) {
    // Schemas recurse. A value that nests deeper than the stack is an error of the caller.
    if (!(error instanceof RangeError)) throw error;
    throw new AppError("validation", undefined, {
      errors: [{ path: WHOLE_BODY, rule: "too_deep", message: "Expected less nesting" }],
    });
  }
  if (parsed.success) return parsed.data;
  throw new AppError("validation", undefined, { errors: parsed.error.issues.flatMap(fieldErrors) });
}

function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === "invalid_union" && issue.errors.length > 0) return unionErrors(issue);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.slice(0, 20).map((key) => ({
      path: [...issue.path, key].join("."),
      rule: "unknown_field",
      message: "Unknown field",
    }));
  }
  return [{ path: issue.path.join(".") || WHOLE_BODY, rule: ruleOf(issue), message: issue.message }];
}

/** Errors of a union: those of the variants with the fewest errors. */
function unionErrors({ path, errors }: z.core.$ZodIssueInvalidUnion): FieldError[] {
  const fewest = Math.min(...errors.map((issues) => issues.length));
  const fields = errors.filter((issues) => issues.length === fewest).flat()
    .flatMap((issue) => fieldErrors({ ...issue, path: [...path, ...issue.path] } as z.core.$ZodIssue));
  return [...new Map(fields.map((field) => [`${field.path}\n${field.rule}`, field])).values()];
}

/** A custom rule may have its own name. */
function ruleOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_format") return String(issue.format);
  return issue.code === "custom" ? String(issue.params?.["rule"] ?? "custom") : issue.code;
}

/**
 * Whether all strings are well-formed and without NUL. Not recursive, because a body may nest deeper than the stack.
 */
export function storable(value: unknown): boolean {
  const left: unknown[] = [value];
  while (left.length > 0) {
    const part = left.pop();
    if (typeof part === "string") {
      if (!part.isWellFormed() || part.includes("\0")) return false;
    } else if (Array.isArray(part)) {
      for (const item of part) left.push(item);
    } else if (typeof part === "object" && part !== null) {
      for (const [key, item] of Object.entries(part)) left.push(key, item);
    }
  }
  return true;
}

/** Maximum length of a path in an error: the name of a member may be as long as the body. */
const SHOWN_OF_PATH = 200;

/** The path of the first text that cannot be stored. That may be the name of a member. */
export function unstorablePath(value: unknown): string {
  const left: [path: string, value: unknown][] = [["", value]];
  for (let next = left.pop(); next; next = left.pop()) {
    const [path, part] = next;
    if (typeof part === "string" && !storable(part)) return path.slice(0, SHOWN_OF_PATH);
    if (typeof part !== "object" || part === null) continue;
    for (const [key, item] of Object.entries(part).reverse()) {
      const within = path ? `${path}.${key}` : key;
      left.push([within, item], [within, key]);
    }
  }
  return "";
}

export function unstorable(path: string): AppError {
  return new AppError("validation", "Text must not contain NUL or lone surrogates", {
    errors: [{
      path: path || WHOLE_BODY,
      rule: "well_formed",
      message: "Expected text without NUL and lone surrogates",
    }],
  });
}

function tooLarge(bound: number): AppError {
  return new AppError("body-too-large", `Expected at most ${bound} bytes`);
}
