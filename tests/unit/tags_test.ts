import assert from "node:assert/strict";
import { foldTag, isSameTag } from "../../contract/tags.ts";
import { Seeded } from "../support/seeded.ts";

Deno.test("Tags of every script fold to one form", () => {
  const forms: [written: string, stored: string][] = [
    ["हिन्दी", "हिन्दी"],
    ["தமிழ்", "தமிழ்"],
    ["ภาษาไทย", "ภาษาไทย"],
    ["עברית", "עברית"],
    ["cafe\u0301", "café"],
    ["Й\u0301", "й\u0301"],
    ["И\u0306", "й"],
    ["İstanbul", "i\u0307stanbul"],
    ["ISPARTA", "isparta"],
    ["Straße", "strasse"],
    ["STRAẞE", "strasse"],
    ["ΟΔΌΣ", "οδόσ"],
    ["οδός", "οδόσ"],
    ["ﬃnity", "ffinity"],
    ["ﾍﾟｰｼﾞ", "ページ"],
    ["ＡＢＣ１２３", "abc123"],
    ["한국어", "한국어"],
    ["ᲥᲐᲠᲗᲣᲚᲘ", "ქართული"],
    ["می\u200cخواهم", "می\u200cخواهم"],
    ["ශ්\u200dරී", "ශ්\u200dරී"],
    ["क्\u200dष", "क्\u200dष"],
    ["2026", "2026"],
    ["snake_case-tag", "snake_case-tag"],
    ["heart\ufe0f", "heart"],
    ["𐐀𐐁", "𐐨𐐩"],
  ];
  for (const [written, stored] of forms) {
    assert.equal(foldTag(written), stored, written);
    assert.equal(foldTag(written.normalize("NFD")), stored, `${written}, decomposed`);
    assert.equal(foldTag(stored), stored, `${stored} again`);
  }
});

Deno.test("Tags have letters, digits, marks, _ and - only, and joiners in scripts that need them", () => {
  const wrong = ["", "two words", "a.b", "<b>", "\u0301a", "_\u0301", "½", "a\u202eb", "a\u200fb", "a\u200bb", "🦊"];
  const joiners = ["a\u200db", "\u200cمی", "می\u200c", "می\u200c\u200cخ", "क\u200d_", "\u200d", "ㅤ"];
  for (const tag of [...wrong, ...joiners]) assert.equal(foldTag(tag), undefined, JSON.stringify(tag));
});

Deno.test("A tag's length is counted in code points after folding", () => {
  assert.equal(foldTag("ß".repeat(15)), "s".repeat(30));
  assert.equal(foldTag("ß".repeat(16)), undefined);
  assert.equal(foldTag("e\u0301".repeat(30)), "é".repeat(30));
  assert.equal(foldTag("𐐀".repeat(30)), "𐐨".repeat(30));
  assert.equal(foldTag("𐐀".repeat(31)), undefined);
});

Deno.test("Every letter and mark of Unicode folds to a fixed point", () => {
  for (let code = 0; code < 0x110000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const folded = foldTag(`a${String.fromCodePoint(code)}b`);
    if (folded !== undefined && foldTag(folded) !== folded) assert.fail(`U+${code.toString(16)}`);
  }
});

Deno.test("Random accepted tags are accepted again as stored", () => {
  const seed = 20_261_128;
  const random = new Seeded(seed);
  // Runs in which letters, marks and joiners meet, and those that fold or compose in unusual ways.
  const blocks: [number, number][] = [
    ...[[0x20, 0x17f], [0x180, 0x24f], [0x300, 0x36f], [0x370, 0x52f], [0x590, 0x6ff], [0x900, 0xdff]],
    ...[[0xe00, 0xfff], [0x1000, 0x11ff], [0x13a0, 0x13ff], [0x1c80, 0x1cbf], [0x1e00, 0x1fff], [0x200b, 0x206f]],
    ...[[0x3040, 0x30ff], [0xab70, 0xabbf], [0xac00, 0xac7f], [0xfb00, 0xfdff], [0xff00, 0xffef], [0x10400, 0x1044f]],
  ] as [number, number][];
  let taken = 0;
  for (let i = 0; i < 20_000; i++) {
    const block = random.pick(blocks);
    const length = random.whole(1, 6);
    const points = Array.from({ length }, () => random.whole(...(random.chance(0.8) ? block : random.pick(blocks))));
    const written = String.fromCodePoint(...points);
    const stored = foldTag(written);
    if (stored === undefined) continue;
    taken++;
    assert.equal(foldTag(stored), stored, `seed ${seed}: ${JSON.stringify(written)}`);
    assert.ok(isSameTag(stored, written), `seed ${seed}: ${JSON.stringify(written)}`);
    assert.equal(foldTag(written.normalize("NFD")), stored, `seed ${seed}: ${JSON.stringify(written)}, decomposed`);
  }
  assert.ok(taken > 1_000, `Only ${taken} of them are tags`);
});
