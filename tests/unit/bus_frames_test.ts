import assert from "node:assert/strict";
import { joinFrames, splitFrames } from "../../lib/bus/frames.ts";

Deno.test("Frames are read as they were joined, whatever their texts", () => {
  const texts = ["", "a", "\n", "3 4\nabcd", "ж", "😀 in two units", "\u0000", "7 ".repeat(5_000)];
  const frames = texts.map((text, i) => ({ token: i * 1_000_003, text }));
  assert.deepEqual(splitFrames(joinFrames(frames)), frames);
  assert.deepEqual(splitFrames(""), []);
});

Deno.test("A text that is no frames is refused", () => {
  for (
    const text of [
      "a",
      "1",
      "1\n",
      "1 x\nabc",
      "x 1\na",
      "1 5\nabc",
      "1 1\nab",
      "1 -1\n",
      "1 -5\n",
      "-1 1\na",
      "1 1e999\na",
      '{"id":1}',
    ]
  ) {
    assert.throws(() => splitFrames(text), /frame/i, text);
  }
});
