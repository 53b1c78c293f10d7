import assert from "node:assert/strict";
import { isolated, line, plain, visibleJson, withoutGaps } from "../../web/app/text.js";

const GAPS: [string, string, string][] = [
  ["no blank line", "a\nb", "a\nb"],
  ["two blank lines", "a\n\n\nb", "a\n\n\nb"],
  ["three", "a\n\n\n\nb", "a\n\n\nb"],
  ["thousands", `a${"\n".repeat(4_000)}b`, "a\n\n\nb"],
  [
    "lines of invisible characters",
    `a${"\n \u200b\u2800\u202e".repeat(9)}\nb`,
    "a\n \u200b\u2800\u202e\n \u200b\u2800\u202e\nb",
  ],
  ["other line breaks", "a\r\n\r\n\u2028\u2029\vb", "a\n\n\nb"],
  ["several gaps", `a${"\n".repeat(9)}b${"\n".repeat(9)}c`, "a\n\n\nb\n\n\nc"],
  ["blank lines only", `${"\n".repeat(9)}`, "\n"],
];
for (const [what, text, shown] of GAPS) {
  Deno.test(`At most two consecutive blank lines are shown: ${what}`, () => assert.equal(withoutGaps(text), shown));
}

Deno.test("A long text of spaces is processed in linear time", () => {
  const text = `\n${" ".repeat(200_000)}x`.repeat(3);
  const start = performance.now();
  assert.equal(withoutGaps(text), text);
  assert.ok(performance.now() - start < 1_000);
});

Deno.test("Text of other people is a separate part of a line, also in nested lines", () => {
  const parts = line`${"Eve\u202e"} liked ${line`“${"My post"}”`}${["!"]}`;
  assert.deepEqual(parts, [{ foreign: "Eve\u202e" }, " liked ", "“", { foreign: "My post" }, "”", "!"]);
  assert.equal(plain(parts), "Eve\u202e liked “My post”!");
});

Deno.test("Text of other people in an attribute is isolated and cannot end the isolation", () => {
  assert.equal(isolated("Eve\u202e\u2069 x"), "\u2068Eve x\u2069");
});

Deno.test("Direction marks in JSON are escaped", () => {
  assert.equal(visibleJson({ name: "Eve\u202e", "\u2067": 1 }), '{\n  "name": "Eve\\u202e",\n  "\\u2067": 1\n}');
  assert.deepEqual(JSON.parse(visibleJson({ name: "Eve\u202e" })), { name: "Eve\u202e" });
});
