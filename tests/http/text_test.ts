import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { Seeded } from "../support/seeded.ts";

const app = sharedApp();
const tagPath = (page: string, tag: string) => `/pages/${page}/tags/${encodeURIComponent(tag)}`;

/** The fields of a refusal, with their rules. */
async function broken(person: Person, method: string, path: string, body: unknown): Promise<string[]> {
  const { errors } = await app.refused("validation", method, path, { token: person.token, body });
  return errors.map(({ path, rule }: { path: string; rule: string }) => `${path}: ${rule}`);
}

Deno.test("A tag in any script is stored folded, and accepted again as returned", async () => {
  const person = await app.person();
  const { token } = person;
  const { id } = await app.page(person);
  // deno-fmt-ignore
  const tags = ["हिन्दी", "cafe\u0301", "İstanbul", "Straße", "Σίσυφος",
    "می\u200cخواهم", "ภาษาไทย", "ﾍﾟｰｼﾞ", "Ⅷ", "ᏣᎳᎩ"];
  for (const tag of tags) await app.ok("PUT", tagPath(id, tag), { token });
  const stored: string[] = (await app.ok("GET", `/pages/${id}`, { token })).tags;
  assert.equal(stored.length, tags.length);
  // The same rule applies when a page is created.
  assert.deepEqual((await app.page(person, { tags: [...tags, ...stored] })).tags, stored);
  for (const [i, tag] of stored.entries()) {
    assert.equal((await app.ok("PUT", tagPath(id, tag), { token })).tags.length, tags.length - i, tag);
    assert.equal((await app.ok("DELETE", tagPath(id, tag), { token })).tags.length, tags.length - i - 1, tag);
  }
});

Deno.test("Any spelling of a tag removes it", async () => {
  const person = await app.person();
  const { token } = person;
  const { id } = await app.page(person);
  for (
    const [one, other] of [["İstanbul", "i\u0307STANBUL"], ["ΟΔΟΣ", "οδος"], ["STRASSE", "straße"], ["é", "E\u0301"]]
  ) {
    await app.ok("PUT", tagPath(id, one!), { token });
    assert.deepEqual((await app.ok("DELETE", tagPath(id, other!), { token })).tags, [], one!);
  }
});

Deno.test("A tag that an older rule stored is accepted and removed unchanged", async () => {
  const person = await app.person();
  const { token } = person;
  // Its actor is not loaded yet.
  const id = person.page_id;
  const old = ["½", "straße", "ⅷ", "x".repeat(25) + "ß".repeat(5)];
  await app.ctx.sql.execute("update pages set tags = $2 where id = $1", [id, old]);
  for (const tag of old) {
    assert.ok((await app.ok("PUT", tagPath(id, tag), { token })).tags.includes(tag), tag);
    assert.ok(!(await app.ok("DELETE", tagPath(id, tag), { token })).tags.includes(tag), tag);
  }
  await app.refused("validation", "DELETE", tagPath(id, "½"), { token });
});

Deno.test("Random tags are stored, shown and deleted", async () => {
  const person = await app.person();
  const { token } = person;
  const { id } = await app.page(person);
  const random = new Seeded(20_261_128);
  const letters = [..."aßİıςΣµﬁǅñЁйאéक्षิกํハ゛ﾞ한글ㄱ𐐀٣५_-\u0301\u0307\u200c\u200d\u0345"];
  for (let i = 0; i < 120; i++) {
    const tag = Array.from({ length: random.whole(1, 5) }, () => random.pick(letters)).join("");
    const { status, body } = await app.call("PUT", tagPath(id, tag), { token });
    assert.ok(status === 200 || status === 422, `${JSON.stringify(tag)} is ${status}`);
    if (status === 422) continue;
    const [stored] = body.tags;
    assert.deepEqual((await app.ok("DELETE", tagPath(id, stored), { token })).tags, [], JSON.stringify(tag));
  }
});

Deno.test("A name is one visible line without direction marks", async () => {
  const person = await app.person();
  const { id } = await app.page(person);
  const wrong: [name: string, rule: string][] = [
    ["Savings \u202e", "direction"],
    ["\u202aabc\u202c", "direction"],
    ["\u2066abc\u2069", "direction"],
    ["two\nlines", "line_break"],
    ["two\r\nlines", "line_break"],
    ["two\u2028lines", "line_break"],
    ["two\u0085lines", "line_break"],
    ["bell\u0007", "control_character"],
    ["tab\tbed", "control_character"],
    ["c1\u009b31m", "control_character"],
    ["\u200b", "visible"],
    ["\u200d\u2060\u00ad", "visible"],
    ["\u3164", "visible"],
    ["\u2800", "visible"],
    ["\u0301", "visible"],
    ["\u{e0041}\u{e0042}", "visible"],
  ];
  for (const [name, rule] of wrong) {
    const said = [`name: ${rule}`];
    assert.deepEqual(await broken(person, "POST", "/pages", { name }), said, JSON.stringify(name));
    assert.deepEqual(await broken(person, "PATCH", `/pages/${id}`, { name }), said, JSON.stringify(name));
  }
});

Deno.test("Names of every script are stored as written", async () => {
  const person = await app.person();
  const { token } = person;
  const { id } = await app.page(person);
  const names = [
    "日本語のページ",
    "हिन्दी पृष्ठ",
    "دفتر «می\u200cخواهم»",
    "ספר C++\u200e!",
    "👩\u200d👩\u200d👧",
    "e\u0301",
    "Ω",
    "!",
  ];
  for (const name of names) {
    assert.equal((await app.ok("PATCH", `/pages/${id}`, { token, body: { name } })).name, name);
  }
  const marked = await app.ok("PATCH", `/pages/${id}`, { token, body: { name: " \u200fName\u200e " } });
  assert.equal(marked.name, "Name", "outer marks are trimmed");
});

Deno.test("Places, alternative texts, and reasons of blocks and reports have no direction marks", async () => {
  const person = await app.person();
  const { page_id } = person;
  const turned = "x\u202ey";
  assert.deepEqual(await broken(person, "POST", `/pages/${page_id}/posts`, { text: "A post", place: turned }), [
    "place: direction",
  ]);
  assert.deepEqual(await broken(person, "POST", `/pages/${page_id}/posts`, { text: "A post", place: "a\nb" }), [
    "place: line_break",
  ]);
  const photos = [{ name: "a.png", data: "", alt: turned }];
  assert.deepEqual(await broken(person, "POST", `/pages/${page_id}/posts`, { photos }), ["photos.0.alt: direction"]);
  const moderator = await app.moderator();
  const block = { reason: turned, until: new Date(Date.now() + 60_000).toISOString() };
  assert.deepEqual(await broken(moderator, "POST", `/pages/${page_id}/block`, block), ["reason: direction"]);
  assert.deepEqual(await broken(moderator, "POST", `/pages/${page_id}/block`, { ...block, reason: "\u200b" }), [
    "reason: visible",
  ]);
  const [reporter] = await app.people(1);
  const report = { target: { kind: "page", id: page_id }, reason: turned };
  assert.ok((await broken(reporter!, "POST", "/reports", report)).includes("reason: direction"));
});

Deno.test("White space of any length is rejected quickly", async () => {
  const person = await app.person();
  const took: number[] = [];
  for (let i = 0; i < 3; i++) {
    const begun = performance.now();
    await broken(person, "POST", "/pages", { name: `${" ".repeat(60_000)}x` });
    took.push(performance.now() - begun);
  }
  // A busy machine can only make them longer.
  assert.ok(Math.min(...took) < 1_000, `${took}`);
});
