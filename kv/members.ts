/**
 * The members of a JSON object as they are written: `JSON.parse` keeps only the last of repeated keys, rounds long numbers, forgets how
 * a value was spelled, and makes objects of what is only to be kept.
 */
export interface Members {
  /** In their order; a repeated one as often as it comes. */
  keys: string[];
  /** The text of each key's value, without the space around it. */
  values: string[];
  /** How deep each value nests: 0 where it holds no other. */
  depths: number[];
  /** The members of each value that is an object itself, where they were asked for. */
  inner: (Members | undefined)[];
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
const ESCAPED = new Set([...'"\\/bfnrt'].map((character) => character.charCodeAt(0)));

/**
 * The members of the object that `text` is, and those of its objects for so many levels; undefined where it is another value. Takes
 * what `JSON.parse` takes (RFC 8259) and throws `SyntaxError` for anything else.
 */
export function membersOf(text: string, levels = 1): Members | undefined {
  const start = afterSpace(text, 0);
  const value: Passed & { members?: Members } = text.charCodeAt(start) === OPEN_OBJECT
    ? readMembers(text, start, levels)
    : passValue(text, start);
  if (afterSpace(text, value.end) !== text.length) throw unexpected(text, value.end);
  return value.members;
}

interface Passed {
  /** Where it goes on after the value. */
  end: number;
  depth: number;
}

/** From an opening brace. Recursive only as far as it is asked. */
function readMembers(text: string, start: number, levels: number): Passed & { members: Members } {
  const members: Members = { keys: [], values: [], depths: [], inner: [] };
  let depth = 1;
  let at = afterSpace(text, start + 1);
  if (text.charCodeAt(at) === CLOSE_OBJECT) return { members, depth, end: at + 1 };
  for (;; at = afterSpace(text, at + 1)) {
    const keyEnd = endOfString(text, at);
    const from = afterColon(text, keyEnd);
    const nested = levels > 1 && text.charCodeAt(from) === OPEN_OBJECT;
    const value: Passed & { members?: Members } = nested ? readMembers(text, from, levels - 1) : passValue(text, from);
    members.keys.push(keyIn(text.slice(at, keyEnd)));
    members.values.push(text.slice(from, value.end));
    members.depths.push(value.depth);
    members.inner.push(value.members);
    if (value.depth >= depth) depth = value.depth + 1;
    at = afterSpace(text, value.end);
    const code = text.charCodeAt(at);
    if (code === CLOSE_OBJECT) return { members, depth, end: at + 1 };
    if (code !== COMMA) throw unexpected(text, at);
  }
}

function keyIn(quoted: string): string {
  return quoted.includes("\\") ? JSON.parse(quoted) as string : quoted.slice(1, -1);
}

/** Not recursive, since a value may nest deeper than the stack. */
function passValue(text: string, start: number): Passed {
  /** What closes each list and object that is open. */
  const open: number[] = [];
  let depth = 0;
  let at = start;
  for (;;) {
    // A value begins here.
    const code = text.charCodeAt(at);
    if (code === OPEN_OBJECT || code === OPEN_LIST) {
      const close = code === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST;
      at = afterSpace(text, at + 1);
      if (text.charCodeAt(at) !== close) {
        open.push(close);
        if (open.length > depth) depth = open.length;
        if (code === OPEN_OBJECT) at = afterColon(text, endOfString(text, at));
        continue;
      }
      if (open.length >= depth) depth = open.length + 1;
      at++;
    } else at = code === QUOTE ? endOfString(text, at) : endOfWord(text, at, code);
    // It has ended, and so may those around it.
    for (;;) {
      if (open.length === 0) return { end: at, depth };
      at = afterSpace(text, at);
      const next = text.charCodeAt(at++);
      const close = open[open.length - 1]!;
      if (next === COMMA) {
        at = afterSpace(text, at);
        if (close === CLOSE_OBJECT) at = afterColon(text, endOfString(text, at));
        break;
      }
      if (next !== close) throw unexpected(text, at - 1);
      open.pop();
    }
  }
}

/** To the value after a key. */
function afterColon(text: string, keyEnd: number): number {
  const at = afterSpace(text, keyEnd);
  if (text.charCodeAt(at) !== COLON) throw unexpected(text, at);
  return afterSpace(text, at + 1);
}

/** After the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  if (text.charCodeAt(start) !== QUOTE) throw unexpected(text, start);
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) at = endOfEscape(text, at);
    else if (code < 0x20) throw unexpected(text, at);
  }
  throw unexpected(text, text.length);
}

/** At its last character. */
function endOfEscape(text: string, start: number): number {
  if (ESCAPED.has(text.charCodeAt(start + 1))) return start + 1;
  if (/^u[0-9A-Fa-f]{4}$/.test(text.slice(start + 1, start + 6))) return start + 5;
  throw unexpected(text, start);
}

/** Of a number, `true`, `false` or `null`. */
function endOfWord(text: string, start: number, code: number): number {
  if (code === MINUS || isDigit(code)) return endOfNumber(text, start);
  for (const word of ["null", "true", "false"]) if (text.startsWith(word, start)) return start + word.length;
  throw unexpected(text, start);
}

function endOfNumber(text: string, start: number): number {
  let at = text.charCodeAt(start) === MINUS ? start + 1 : start;
  // Nothing follows a zero that leads.
  at = text.charCodeAt(at) === ZERO ? at + 1 : afterDigits(text, at);
  if (text.charCodeAt(at) === DOT) at = afterDigits(text, at + 1);
  const code = text.charCodeAt(at);
  if (code !== 0x45 && code !== 0x65) return at;
  const sign = text.charCodeAt(at + 1);
  return afterDigits(text, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
}

/** After one digit or more. */
function afterDigits(text: string, start: number): number {
  let at = start;
  while (isDigit(text.charCodeAt(at))) at++;
  if (at === start) throw unexpected(text, at);
  return at;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

function afterSpace(text: string, start: number): number {
  for (let at = start;; at++) {
    const code = text.charCodeAt(at);
    // Most often it is none; past the end it is no number, and no space either.
    if (!(code <= 0x20) || (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09)) return at;
  }
}

function unexpected(text: string, at: number): SyntaxError {
  return new SyntaxError(at < text.length ? `Unexpected character at ${at}` : "Unexpected end");
}
