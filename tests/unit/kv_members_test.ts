/** The parser that finds repeated keys, compared with `JSON.parse` and with texts whose members are known. */
import assert from "node:assert/strict";
import { type Members, membersOf } from "../../services/kv/members.ts";
import { Seeded, seededTest } from "../support/seeded.ts";

const SPACES = ["", "", "", " ", "\n", "\t", "\r\n ", "  "];
/** Parts of strings, as written between quotes. */
const PIECES = [
  "a",
  "key",
  "é",
  "🦉",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  " ",
  "/",
  "null",
  "\\\\",
  '\\"',
  "\\/",
  "\\n",
  "\\t",
  "\\b",
  "\\u0000",
  "\\u0022",
  "\\u005c",
  "\\ud83e\\udd89",
  "\\ud800",
  "\\udc00",
  "__proto__",
  "constructor",
  "\u2028",
  "\x7f",
];
const WORDS = ["null", "true", "false", "0", "-0", "1", "-1.5", "1e400", "12345678901234567890", "1E-7", "0.10"];

/**
 * V8 15.0 reads the key `"\n"` as a backslash if an earlier object had that key at the same place. The parser reads
 * keys as strings and is not affected, but after a backslash in a key `JSON.parse` is no oracle.
 */
const SPOILS_ORACLE = /\\\\|\\u005c/gi;

interface Pair {
  /** With its quotes. */
  key: string;
  value: string;
  depth: number;
}

Deno.test("Members are listed as written, in order, with repeated ones", () => {
  const text = ' {"a" : 1.0 ,"\\u0061":{"b":[{}]}, "": "}\\"," ,"a":[ ] } ';
  assert.deepEqual(membersOf(text), {
    keys: ["a", "a", "", "a"],
    values: ["1.0", '{"b":[{}]}', '"}\\","', "[ ]"],
    depths: [0, 3, 0, 1],
    inner: [undefined, undefined, undefined, undefined],
    repeats: true,
  });
});

Deno.test("A value other than an object has no members", () => {
  for (const text of ["[]", " 7", '"{}"', "null", '[{"a":1}]']) assert.equal(membersOf(text), undefined, text);
  assert.deepEqual(membersOf(" { } "), { keys: [], values: [], depths: [], inner: [], repeats: false });
});

Deno.test("Nested objects are read to the requested depth", () => {
  const text = '{"data":{"a":{"b":1},"a":2},"list":[{"c":3}],"n":4}';
  const { inner, depths, values } = membersOf(text, 2)!;
  assert.deepEqual(inner[0], {
    keys: ["a", "a"],
    values: ['{"b":1}', "2"],
    depths: [1, 0],
    inner: [undefined, undefined],
    repeats: true,
  });
  assert.deepEqual([inner[1], inner[2]], [undefined, undefined]);
  assert.deepEqual([depths, values[0]], [[2, 2, 0], '{"a":{"b":1},"a":2}']);
  assert.deepEqual(membersOf(text, 3)!.inner[0]!.inner[0]!.keys, ["b"]);
});

Deno.test("A repeated key is recognised in any spelling, and no other is", () => {
  const key = 'ключ \u{1f511} " \\ a';
  const spellings = [
    JSON.stringify(key),
    JSON.stringify(key).replace(" a", " \\u0061"),
    `"${[...Array(key.length)].map((_, i) => `\\u${key.charCodeAt(i).toString(16).padStart(4, "0")}`).join("")}"`,
  ];
  for (const one of spellings) {
    for (const other of spellings) assert.equal(membersOf(`{${one}:1,"b":2,${other}:3}`)!.repeats, true);
    assert.equal(membersOf(`{${one}:1,"b":{${one}:2}}`, 2)!.repeats, false);
  }
  // Both are stored as U+FFFD, but only one was written so: equal bytes, two keys.
  assert.equal(membersOf(`{"\ufffd":1,"\\ud800":2}`)!.repeats, false);
  const many = Array.from({ length: 10_000 }, (_, i) => `"${i}":${i}`);
  assert.equal(membersOf(`{${many.join(",")}}`)!.repeats, false);
  assert.equal(membersOf(`{${[...many, '"7":0'].join(",")}}`)!.repeats, true);
});

Deno.test("A key does not depend on the keys before it", () => {
  for (const text of ['{"x":0,"\\\\":1}', '{"x":0,"\\n":1}', '{"x":0,"\\t":1}', '{"x":0,"\\\\":1}']) {
    const spelled = /,("[^:]*"):/.exec(text)![1]!;
    assert.deepEqual(membersOf(text)!.keys, ["x", JSON.parse(spelled)]);
  }
});

Deno.test("A value nested deeper than the stack is skipped and measured", () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  assert.deepEqual(membersOf(`{"k":${deep}}`, 2)!.depths, [200_000]);
  const mixed = `${'{"a":['.repeat(50_000)}1${"]}".repeat(50_000)}`;
  assert.deepEqual(membersOf(`{"k":{"l":${mixed}}}`, 2)!.depths, [100_001]);
});

Deno.test("Long runs of escapes and quotes take linear time", () => {
  const string = '\\\\\\"'.repeat(300_000);
  const start = performance.now();
  assert.equal(membersOf(`{"k":"${string}"}`)!.values[0]!.length, string.length + 2);
  assert.equal(membersOf(`{"k":"${"\\\\".repeat(500_000)}"}`)!.keys.length, 1);
  assert.ok(performance.now() - start < 2_000);
});

seededTest("Members are those of the source in any spelling", async (random) => {
  for (let round = 0; round < 3_000; round++) {
    const pairs = Array.from({ length: random.whole(0, 6) }, () => pair(random));
    const text = spaced(
      random,
      `{${pairs.map(({ key, value }) => spaced(random, key) + ":" + spaced(random, value)).join(",")}}`,
    );
    const keys = pairs.map(({ key }) => JSON.parse(key) as string);
    const expected: Members = {
      keys,
      values: pairs.map(({ value }) => value),
      depths: pairs.map(({ depth }) => depth),
      inner: pairs.map(() => undefined),
      repeats: keys.some((key, i) => keys.indexOf(key) < i),
    };
    assert.deepEqual(membersOf(text), expected, text);
    if (text.search(SPOILS_ORACLE) < 0) agrees(text);
  }
  await Promise.resolve();
});

seededTest(
  "A text is accepted if JSON.parse accepts it, with the same members at every level",
  async (random) => {
    const seen = { taken: 0, refused: 0 };
    for (let round = 0; round < 30_000; round++) {
      let text = value(random, 3).text;
      for (let changes = random.whole(0, 2); changes > 0; changes--) text = mangled(random, text);
      text = text.replaceAll(SPOILS_ORACLE, "\\t");
      if (isJson(text)) {
        seen.taken++;
        agrees(text);
      } else {
        seen.refused++;
        for (const levels of [1, 3]) assert.throws(() => membersOf(text, levels), SyntaxError, text);
      }
    }
    assert.ok(seen.taken > 5_000 && seen.refused > 5_000, JSON.stringify(seen));
    await Promise.resolve();
  },
);

Deno.test("Invalid JSON is rejected at any position", () => {
  const wrong = [
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'a'",
    "nul",
    "nulll",
    "True",
    "undefined",
    "NaN",
    "Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".5",
    "1e",
    "1e+",
    "0x1",
    "1_0",
    '"\\x"',
    '"\\u12g4"',
    '"\\u123"',
    '"\n"',
    '"\t"',
    '"\u0000"',
    '"\\',
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    '{"a":1,}',
    '{,"a":1}',
    '{"a"}',
    '{"a":}',
    "{a:1}",
    "{1:1}",
    '{"a":1]',
    '{"a":1 "b":2}',
    '{"a"::1}',
    "{} {}",
    "1 1",
    "\ufeff{}",
    "\u00a0{}",
    "//",
    "/**/1",
    '{"a":1}x',
  ];
  const around = [
    (text: string) => text,
    (text: string) => `[${text}]`,
    (text: string) => `{"k":${text}}`,
    (text: string) => `{"k":{"l":[0,${text}]}}`,
  ];
  for (const text of wrong) {
    for (const within of around) {
      if (isJson(within(text))) continue;
      for (const levels of [1, 2, 3]) assert.throws(() => membersOf(within(text), levels), SyntaxError, within(text));
    }
  }
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Of repeated keys `JSON.parse` keeps the last value, at the place of the first. */
function agrees(text: string): void {
  const parsed: unknown = JSON.parse(text);
  const members = membersOf(text, 3);
  const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
  assert.equal(members !== undefined, isObject, text);
  if (members) assert.deepEqual(rebuilt(members), parsed, text);
}

function rebuilt({ keys, values, inner }: Members): unknown {
  // `__proto__` must not become the prototype of the rebuilt object.
  return Object.fromEntries(keys.map((key, i) => [key, inner[i] ? rebuilt(inner[i]) : JSON.parse(values[i]!)]));
}

function pair(random: Seeded): Pair {
  const { text, depth } = value(random, random.whole(0, 4));
  return { key: string(random), value: text, depth };
}

function value(random: Seeded, levels: number): { text: string; depth: number } {
  const kind = levels === 0
    ? random.pick(["string", "word"])
    : random.pick(["string", "word", "list", "object", "object"]);
  if (kind === "string") return { text: string(random), depth: 0 };
  if (kind === "word") return { text: random.pick(WORDS), depth: 0 };
  const items = Array.from({ length: random.whole(0, 4) }, () => value(random, levels - 1));
  const texts = items.map(({ text }) =>
    kind === "list" ? spaced(random, text) : `${spaced(random, string(random))}:${spaced(random, text)}`
  );
  const inside = texts.join(",") || random.pick(SPACES);
  const depth = 1 + Math.max(0, ...items.map(({ depth }) => depth));
  return { text: kind === "list" ? `[${inside}]` : `{${inside}}`, depth };
}

function string(random: Seeded): string {
  // Few parts, so that keys repeat.
  return `"${Array.from({ length: random.whole(0, 3) }, () => random.pick(PIECES)).join("")}"`;
}

function spaced(random: Seeded, text: string): string {
  return random.pick(SPACES) + text + random.pick(SPACES);
}

/** One character is removed, doubled or replaced, or a part is inserted. */
function mangled(random: Seeded, text: string): string {
  const at = random.whole(0, text.length);
  const other = random.pick([
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "1",
    "-",
    ".",
    "e",
    "u",
    "null",
    "\n",
    "\u0001",
    "",
  ]);
  // UTF-8 has no half characters.
  return (text.slice(0, at) + other + text.slice(at + random.whole(0, 1))).toWellFormed();
}
