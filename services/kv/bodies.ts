/** Bodies of the key–value store: schemas, and parsers that keep what `JSON.parse` loses. */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { MAX_BODY_BYTES, parseText } from "../../contract/body.ts";
import { type Members, membersOf } from "./members.ts";

/** Limits of a call (`docs/limits.md`), in bytes; that of a value is for its JSON text. */
export const MAX_KV_BODY_BYTES = 8 * 1024 * 1024;
export const MAX_KEYS = 10_000;
const MAX_KEY_LENGTH = 1_024;
const MAX_VALUE_BYTES = 1024 * 1024;
const MAX_DEPTH = 1_000;
const MAX_TTL_S = 10 * 365 * 86_400;
/** Characters of a key that an error quotes, so that responses stay short. */
const SHOWN = 200;

interface Wrong {
  rule: string;
  message: string;
}

export const space = z.enum(["own", "shared"]).default("own").meta({
  description: "The caller's own keys, or those shared by all accounts",
});

export const keys = z.array(z.string()).min(1).max(MAX_KEYS).superRefine((keys, context) => {
  keys.forEach((key, i) => report(context, wrongKey(key), [i]));
});

export const prefix = z.string().default("").superRefine((prefix, context) => report(context, wrongKey(prefix)));

/** A JSON object from `parsePairs`. */
const members = z.custom<Members>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "Expected an object",
);

export const pairs = members.superRefine(({ keys, values, depths }, context) => {
  const wrong = wrongCount(keys.length, "pairs");
  if (wrong) return report(context, wrong);
  keys.forEach((key, i) => report(context, wrongKey(key) ?? wrongValue(values[i]!, depths[i]!), [shown(key)]));
}).meta({
  type: "object",
  minProperties: 1,
  maxProperties: MAX_KEYS,
  additionalProperties: true,
  description: "Keys and their values: any JSON, stored as written",
});

export const versions = members.transform(({ keys, values }, context) => {
  keys.forEach((key, i) => {
    // Numbers of writes, which fit a JavaScript number.
    const isVersion = /^[1-9]\d{0,14}$/.test(values[i]!);
    if (!isVersion) report(context, { rule: "format", message: "Expected a version from a read" }, [shown(key)]);
  });
  return new Map(keys.map((key, i) => [key, Number(values[i])]));
}).meta({
  type: "object",
  additionalProperties: { type: "integer", minimum: 1 },
  description: "Write only if each key of data, all of them named here, has its version; otherwise write nothing",
});

export const ttl = z.int().min(1).max(MAX_TTL_S).meta({
  description: "Seconds until the pairs expire; without it they do not",
});

/** A body with `keys`. Their number is checked before each of them. */
export function parseKeys(text: string): unknown {
  // Parsed without nested values: creating millions of lists and objects would block the process for seconds.
  const body = text.length > MAX_BODY_BYTES ? parseFlat(text) : parseText(text);
  const { keys } = (body ?? {}) as { keys?: unknown };
  const wrong = Array.isArray(keys) && wrongCount(keys.length, "keys");
  if (wrong) throw new AppError("validation", undefined, { errors: [{ path: "keys", ...wrong }] });
  return body;
}

/** A body with `data`, and possibly `if_version`, as `Members`. Throws `repeated-keys`. */
export function parsePairs(text: string): unknown {
  const outer = membersIn(text);
  // Anything but an object is refused, whatever it contains.
  if (!outer) return [];
  if (outer.repeats) refuseRepeated(outer.keys, (key) => key);
  return Object.fromEntries(outer.keys.map((name, i) => {
    const inner = name === "data" || name === "if_version" ? outer.inner[i] : undefined;
    if (!inner) return [name, flat(outer, i)];
    if (inner.repeats) refuseRepeated(inner.keys, (key) => `${name}.${key}`);
    return [name, inner];
  }));
}

/** Like `JSON.parse` for an object whose members are lists of plain values; any other member becomes an empty list. */
function parseFlat(text: string): unknown {
  const outer = membersIn(text);
  return outer ? Object.fromEntries(outer.keys.map((name, i) => [name, flat(outer, i)])) : [];
}

function flat({ values, depths }: Members, i: number): unknown {
  return depths[i]! > 1 ? [] : JSON.parse(values[i]!);
}

function membersIn(text: string): Members | undefined {
  try {
    return membersOf(text, 2);
  } catch (error) {
    throw error instanceof SyntaxError ? new AppError("invalid-json") : error;
  }
}

/** Throws `repeated-keys` with each repeated key; `pathOf` returns its path. */
export function refuseRepeated(keys: readonly string[], pathOf: (key: string, index: number) => string): void {
  const unseen = new Set(keys);
  if (unseen.size === keys.length) return;
  const again = new Map<string, number>();
  keys.forEach((key, i) => {
    if (!unseen.delete(key) && !again.has(key) && again.size < MAX_KEYS) again.set(key, i);
  });
  const errors = [...again].map(([key, i]) => ({
    path: pathOf(shown(key), i),
    rule: "repeated",
    message: `The key ${quoted(key)} occurs more than once`,
  }));
  throw new AppError("repeated-keys", undefined, { errors });
}

export function quoted(key: string): string {
  return JSON.stringify(shown(key));
}

function shown(key: string): string {
  return key.length > SHOWN ? `${key.slice(0, SHOWN)}…` : key;
}

function wrongCount(count: number, what: string): Wrong | undefined {
  if (count >= 1 && count <= MAX_KEYS) return undefined;
  return { rule: count < 1 ? "too_small" : "too_big", message: `Expected 1 to ${MAX_KEYS} ${what}, got ${count}` };
}

function wrongKey(key: string): Wrong | undefined {
  if (!key.isWellFormed() || key.includes("\0")) {
    return { rule: "well_formed", message: "Expected a key without NUL and lone surrogates" };
  }
  return wrongLength(key, MAX_KEY_LENGTH, "key");
}

function wrongValue(value: string, depth: number): Wrong | undefined {
  if (depth <= MAX_DEPTH) return wrongLength(value, MAX_VALUE_BYTES, "value");
  return { rule: "too_deep", message: `Expected at most ${MAX_DEPTH} levels of nesting, got ${depth}` };
}

function wrongLength(text: string, bound: number, what: string): Wrong | undefined {
  // A character takes three bytes at most, so most need no counting.
  if (text.length * 3 <= bound) return undefined;
  const bytes = Buffer.byteLength(text);
  if (bytes <= bound) return undefined;
  return { rule: "too_big", message: `Expected a ${what} of at most ${bound} bytes, got ${bytes}` };
}

function report(context: z.RefinementCtx, wrong: Wrong | undefined, path: PropertyKey[] = []): void {
  if (wrong) context.addIssue({ code: "custom", message: wrong.message, params: { rule: wrong.rule }, path });
}
