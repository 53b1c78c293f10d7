/**
 * The members of a JSON object as they are written: `JSON.parse` keeps only the last of repeated keys, rounds long numbers and
 * forgets how a value was spelled.
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
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The members of the object that `text` is, and those of its objects for so many levels; undefined where it is another value.
 * Only for text that `JSON.parse` accepts: quotes, brackets and commas then say where everything ends, and nothing is checked again.
 */
export function membersOf(text: string, levels = 1): Members | undefined {
  const start = afterSpace(text, 0);
  return text.charCodeAt(start) === OPEN_OBJECT ? readMembers(text, start, levels).members : undefined;
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
  while (text.charCodeAt(at) !== CLOSE_OBJECT) {
    if (text.charCodeAt(at) === COMMA) at = afterSpace(text, at + 1);
    const keyEnd = endOfString(text, at);
    const colon = afterSpace(text, keyEnd);
    const from = afterSpace(text, colon + 1);
    const nested = levels > 1 && text.charCodeAt(from) === OPEN_OBJECT;
    const value: Passed & { members?: Members } = nested ? readMembers(text, from, levels - 1) : passValue(text, from);
    members.keys.push(keyIn(text.slice(at, keyEnd)));
    members.values.push(text.slice(from, value.end));
    members.depths.push(value.depth);
    members.inner.push(value.members);
    depth = Math.max(depth, value.depth + 1);
    at = afterSpace(text, value.end);
  }
  return { members, depth, end: at + 1 };
}

function keyIn(quoted: string): string {
  return quoted.includes("\\") ? JSON.parse(quoted) as string : quoted.slice(1, -1);
}

/** Not recursive, since a value may nest deeper than the stack. */
function passValue(text: string, start: number): Passed {
  let at = start;
  let level = 0;
  let depth = 0;
  do {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      at++;
      if (++level > depth) depth = level;
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) {
      at++;
      level--;
    } else at = level > 0 ? at + 1 : endOfWord(text, at);
  } while (level > 0);
  return { end: at, depth };
}

/** Of a number, `true`, `false` or `null`. */
function endOfWord(text: string, start: number): number {
  for (let at = start;; at++) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === CLOSE_OBJECT || code === CLOSE_LIST || isSpace(code)) return at;
  }
}

/** After the closing quote of the string whose opening quote is at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1);; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes++;
    // An even number of them escapes itself.
    if (escapes % 2 === 0) return at + 1;
  }
}

function afterSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
