import { AppError, type FieldError } from "../lib/errors.ts";

/** Limits of errors and of quoted key characters in a response. */
const MAX_ERRORS = 20;
const SHOWN = 200;

/**
 * Throws `repeated-keys` if an object in a JSON text has a member twice. `JSON.parse` ignores that, and two readers of
 * the same text could see different values (RFC 8259 §4). `value` is the result of `JSON.parse`. Costs one pass over
 * the quotes.
 */
export function refuseRepeatedKeys(text: string, value: unknown): void {
  if (typeof value !== "object" || value === null || keysIn(text) === membersIn(value)) return;
  throw new AppError("repeated-keys", undefined, { errors: repeated(text) });
}

/** In JSON only the name of a member is followed by a colon. */
function keysIn(text: string): number {
  let keys = 0;
  for (let start = text.indexOf('"'); start >= 0;) {
    const end = endOfString(text, start);
    if (text.charCodeAt(afterSpace(text, end + 1)) === COLON) keys++;
    start = text.indexOf('"', end + 1);
  }
  return keys;
}

/** Not recursive, because a body may nest deeper than the stack. */
function membersIn(value: object): number {
  let members = 0;
  const left: object[] = [value];
  for (let part = left.pop(); part; part = left.pop()) {
    const inner = Array.isArray(part) ? part : Object.values(part);
    if (inner !== part) members += inner.length;
    for (const item of inner) if (typeof item === "object" && item !== null) left.push(item);
  }
  return members;
}

/** The paths of the repeated names. */
function repeated(text: string): FieldError[] {
  const errors: FieldError[] = [];
  const named = new Set<string>();
  const open: { path: string; keys?: Set<string>; key: string; index: number }[] = [];
  const place = () => {
    const inside = open.at(-1);
    if (!inside) return "";
    const last = inside.keys ? inside.key : String(inside.index);
    return inside.path === "" ? last : `${inside.path}.${last}`;
  };
  for (let at = 0; at < text.length && errors.length < MAX_ERRORS; at++) {
    const code = text[at];
    const inside = open.at(-1);
    if (code === "{") open.push({ path: place(), keys: new Set(), key: "", index: 0 });
    else if (code === "[") open.push({ path: place(), key: "", index: 0 });
    else if (code === "}" || code === "]") open.pop();
    else if (code === "," && inside) inside.index++;
    else if (code === '"') {
      const end = endOfString(text, at);
      if (inside?.keys && text.charCodeAt(afterSpace(text, end + 1)) === COLON) {
        inside.key = JSON.parse(text.slice(at, end + 1)) as string;
        const path = place().slice(0, SHOWN);
        if (inside.keys.has(inside.key) && !named.has(path)) {
          named.add(path);
          const key = JSON.stringify(inside.key.slice(0, SHOWN));
          errors.push({ path, rule: "repeated", message: `The key ${key} occurs more than once` });
        }
        inside.keys.add(inside.key);
      }
      at = end;
    }
  }
  return errors;
}

const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** The index of the closing quote of the string that starts at `start`, in valid JSON. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1);; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === BACKSLASH) before--;
    if ((end - before) % 2 === 0) return end;
  }
}

function afterSpace(text: string, at: number): number {
  for (let code = text.charCodeAt(at); code === 0x20 || (code >= 0x09 && code <= 0x0d); code = text.charCodeAt(++at));
  return at;
}
