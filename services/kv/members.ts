import { Buffer } from "node:buffer";

/**
 * The members of a JSON object as written. `JSON.parse` keeps only the last of repeated keys, rounds long numbers,
 * loses the spelling of values, and creates objects for what is only stored.
 */
export interface Members {
  /** In order; a repeated key as often as it occurs. */
  keys: string[];
  /** The text of each value, without surrounding space. */
  values: string[];
  /** The nesting depth of each value: 0 without nested values. */
  depths: number[];
  /** The members of each value that is an object, if requested. */
  inner: (Members | undefined)[];
  /** Whether a key occurs more than once. */
  repeats: boolean;
}

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LETTER_U = 0x75;
const WORDS = ["null", "true", "false"].map((word) => [...word].map((letter) => letter.charCodeAt(0)));
const ESCAPED = new Set([...'"\\/bfnrt'].map((character) => character.charCodeAt(0)));

/**
 * A text as bytes, which are several times faster to read than characters. A NUL, which is not allowed in JSON, marks
 * the end.
 */
class Source {
  readonly bytes: Buffer;
  /** Whether each character is one byte, so that positions in both are the same. */
  private readonly isAscii: boolean;

  constructor(private readonly text: string) {
    this.bytes = Buffer.from(text + "\0");
    this.isAscii = this.bytes.length === text.length + 1;
  }

  slice(start: number, end: number): string {
    return this.isAscii ? this.text.slice(start, end) : this.bytes.toString("utf8", start, end);
  }
}

/**
 * The members of the object in `text`, and those of its objects for some levels; undefined if it is another value.
 * Accepts what `JSON.parse` accepts (RFC 8259) and throws `SyntaxError` otherwise. A lone surrogate becomes U+FFFD.
 */
export function membersOf(text: string, levels = 1): Members | undefined {
  const source = new Source(text);
  const { bytes } = source;
  const start = afterSpace(bytes, 0);
  const value: Passed & { members?: Members } = bytes[start] === OPEN_OBJECT
    ? readMembers(source, start, levels)
    : passValue(bytes, start);
  const end = afterSpace(bytes, value.end);
  if (end !== bytes.length - 1) throw unexpected(end);
  return value.members;
}

interface Passed {
  /** The position after the value. */
  end: number;
  depth: number;
}

/** From an opening brace. Recursive only up to `levels`. */
function readMembers(source: Source, start: number, levels: number): Passed & { members: Members } {
  const { bytes } = source;
  const members: Members = { keys: [], values: [], depths: [], inner: [], repeats: false };
  const hashes = new Set<number>();
  let depth = 1;
  let at = afterSpace(bytes, start + 1);
  if (bytes[at] === CLOSE_OBJECT) return { members, depth, end: at + 1 };
  for (;; at = afterSpace(bytes, at + 1)) {
    const keyEnd = endOfString(bytes, at);
    const from = afterColon(bytes, keyEnd);
    const nested = levels > 1 && bytes[from] === OPEN_OBJECT;
    const value: Passed & { members?: Members } = nested
      ? readMembers(source, from, levels - 1)
      : passValue(bytes, from);
    const key = keyIn(source, at, keyEnd);
    members.keys.push(key);
    hashes.add(hashOf(source, at, keyEnd, key));
    members.values.push(source.slice(from, value.end));
    members.depths.push(value.depth);
    members.inner.push(value.members);
    if (value.depth >= depth) depth = value.depth + 1;
    at = afterSpace(bytes, value.end);
    const code = bytes[at];
    if (code === CLOSE_OBJECT) {
      members.repeats = hashes.size < members.keys.length && new Set(members.keys).size < members.keys.length;
      return { members, depth, end: at + 1 };
    }
    if (code !== COMMA) throw unexpected(at);
  }
}

/** `end` is after the closing quote. */
function keyIn(source: Source, start: number, end: number): string {
  const inside = source.slice(start + 1, end - 1);
  return inside.includes("\\") ? JSON.parse(`"${inside}"`) as string : inside;
}

/** Equal for equal keys, however they are spelled. Looking up numbers is much faster than strings. */
function hashOf({ bytes }: Source, start: number, end: number, key: string): number {
  for (let at = start + 1; at < end; at++) {
    if (bytes[at] === BACKSLASH) return hashOfBytes(Buffer.from(key), 0, Buffer.byteLength(key));
  }
  return hashOfBytes(bytes, start + 1, end - 1);
}

/** FNV-1a, truncated to a small integer. */
function hashOfBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x11c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash & 0x3fffffff;
}

/** Not recursive, since a value may nest deeper than the stack. */
function passValue(bytes: Uint8Array, start: number): Passed {
  /** The closing bracket of each open list and object. */
  const open: number[] = [];
  let depth = 0;
  let at = start;
  for (;;) {
    // A value starts here.
    const code = bytes[at]!;
    if (code === OPEN_OBJECT || code === OPEN_LIST) {
      const close = code === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST;
      at = afterSpace(bytes, at + 1);
      if (bytes[at] !== close) {
        open.push(close);
        if (open.length > depth) depth = open.length;
        if (code === OPEN_OBJECT) at = afterColon(bytes, endOfString(bytes, at));
        continue;
      }
      if (open.length >= depth) depth = open.length + 1;
      at++;
    } else at = code === QUOTE ? endOfString(bytes, at) : endOfWord(bytes, at, code);
    // It has ended, and so may the ones around it.
    for (;;) {
      if (open.length === 0) return { end: at, depth };
      at = afterSpace(bytes, at);
      const next = bytes[at++];
      const close = open[open.length - 1]!;
      if (next === COMMA) {
        at = afterSpace(bytes, at);
        if (close === CLOSE_OBJECT) at = afterColon(bytes, endOfString(bytes, at));
        break;
      }
      if (next !== close) throw unexpected(at - 1);
      open.pop();
    }
  }
}

/** The start of the value after a key. */
function afterColon(bytes: Uint8Array, keyEnd: number): number {
  const at = afterSpace(bytes, keyEnd);
  if (bytes[at] !== COLON) throw unexpected(at);
  return afterSpace(bytes, at + 1);
}

/** After the closing quote of the string that starts at `start`. */
function endOfString(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== QUOTE) throw unexpected(start);
  for (let at = start + 1;; at++) {
    const code = bytes[at]!;
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) at = endOfEscape(bytes, at);
    else if (code < 0x20) throw unexpected(at);
  }
}

/** The last character of the escape. */
function endOfEscape(bytes: Uint8Array, start: number): number {
  if (ESCAPED.has(bytes[start + 1]!)) return start + 1;
  let at = start + 1;
  if (bytes[at] === LETTER_U) { while (at < start + 5 && isHexDigit(bytes[at + 1]!)) at++; }
  if (at < start + 5) throw unexpected(at);
  return at;
}

/** The end of a number, `true`, `false` or `null`. */
function endOfWord(bytes: Uint8Array, start: number, code: number): number {
  if (code === MINUS || isDigit(code)) return endOfNumber(bytes, start);
  for (const word of WORDS) {
    if (word.every((expected, i) => bytes[start + i] === expected)) return start + word.length;
  }
  throw unexpected(start);
}

function endOfNumber(bytes: Uint8Array, start: number): number {
  let at = bytes[start] === MINUS ? start + 1 : start;
  // A leading zero has no digits after it.
  at = bytes[at] === ZERO ? at + 1 : afterDigits(bytes, at);
  if (bytes[at] === DOT) at = afterDigits(bytes, at + 1);
  const code = bytes[at]!;
  if (code !== 0x45 && code !== 0x65) return at;
  const sign = bytes[at + 1]!;
  return afterDigits(bytes, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
}

/** After one or more digits. */
function afterDigits(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isDigit(bytes[at]!)) at++;
  if (at === start) throw unexpected(at);
  return at;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

function isHexDigit(code: number): boolean {
  return isDigit(code) || (code | 0x20) >= 0x61 && (code | 0x20) <= 0x66;
}

function afterSpace(bytes: Uint8Array, start: number): number {
  for (let at = start;; at++) {
    const code = bytes[at]!;
    // Usually there is none.
    if (code > 0x20 || (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09)) return at;
  }
}

function unexpected(at: number): SyntaxError {
  return new SyntaxError(`Unexpected byte, or end, at ${at}`);
}
