import assert from "node:assert/strict";
import { lineOf } from "../../web/app/bell_line.js";
import { plain } from "../../web/app/text.js";

const OWN = "page-of-mine";
const anna = { first_name: "Anna", last_name: "Lee" };
const bob = { first_name: "Bob", last_name: "Webb" };
const carl = { first_name: "Carl", last_name: "Ng" };

interface Entry {
  kind: string;
  actors?: { first_name: string; last_name: string }[];
  count?: number;
  page?: { id: string; name: string };
  text?: string;
}

function line(
  { kind, actors = [anna], count = 1, page = { id: "other", name: "Nests" }, text = "Hello" }: Entry,
): string {
  const { who, what, quote } = lineOf({ kind, actors, count, page, post: { id: "post", text } }, OWN);
  return [plain(who), what, plain(quote)].filter((part) => part !== "").join(" ");
}

const LINES: [Entry, string][] = [
  [{ kind: "follower", page: { id: OWN, name: "Me" } }, "Anna Lee follows you"],
  [{ kind: "follower" }, "Anna Lee follows your page “Nests”"],
  [{ kind: "request", page: { id: OWN, name: "Me" } }, "Anna Lee asks to follow you"],
  [{ kind: "request" }, "Anna Lee asks to follow your page “Nests”"],
  [{ kind: "accepted" }, "Anna Lee lets you follow “Nests”"],
  [{ kind: "like" }, "Anna Lee liked your post “Hello”"],
  [{ kind: "like", text: "" }, "Anna Lee liked your post"],
  [{ kind: "like", actors: [anna, bob], count: 2 }, "Anna Lee and Bob Webb liked your post “Hello”"],
  [{ kind: "like", actors: [anna], count: 2 }, "Anna Lee and 1 other liked your post “Hello”"],
  [{ kind: "like", actors: [anna, bob, carl], count: 3 }, "Anna Lee and 2 others liked your post “Hello”"],
  [{ kind: "like", actors: [anna, bob, carl], count: 13 }, "Anna Lee and 12 others liked your post “Hello”"],
  [{ kind: "reply" }, "Anna Lee replied to you: “Hello”"],
  [{ kind: "reply", text: "" }, "Anna Lee replied to you with photos"],
  [{ kind: "tag" }, "Anna Lee tagged you in “Hello”"],
  [{ kind: "tag", text: "" }, "Anna Lee tagged you in a post"],
  [{ kind: "tag", text: " Two\n\n lines\t" }, "Anna Lee tagged you in “Two lines”"],
];
for (const [entry, expected] of LINES) {
  Deno.test(`The notification list shows: ${expected}`, () => assert.equal(line(entry), expected));
}

Deno.test("A line quotes at most 80 characters, none of them split", () => {
  assert.equal(line({ kind: "tag", text: "x".repeat(80) }), `Anna Lee tagged you in “${"x".repeat(80)}”`);
  assert.equal(line({ kind: "tag", text: "x".repeat(81) }), `Anna Lee tagged you in “${"x".repeat(79)}…”`);
  assert.equal(line({ kind: "tag", text: "🦉".repeat(81) }), `Anna Lee tagged you in “${"🦉".repeat(79)}…”`);
  assert.equal(line({ kind: "tag", text: `${"x".repeat(77)}, and on` }), `Anna Lee tagged you in “${"x".repeat(77)}…”`);
});
