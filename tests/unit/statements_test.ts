/** `db/statements/` has every named SQL statement, each as it is sent. */
import assert from "node:assert/strict";
import { allStatements } from "../../tasks/statements/collect.ts";
import { filesOf, storedFiles } from "../../tasks/statements/snapshot.ts";
import { laidOut } from "../../tasks/statements/layout.ts";
import { tokensOf } from "../../tasks/statements/tokens.ts";
import { namesInSource } from "../support/statement_names.ts";

/** All names that a template stands for; a choice that is not here is no statement. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  "letter.${purpose}_in_force": ["letter.recover_in_force", "letter.verify_in_force"],
  "report.${name}": ["report.close", "report.release", "report.take"],
  "report.list_${order}": ["report.list_asc", "report.list_desc"],
  "search.${which}": ["search.all", "search.pages", "search.users"],
  "user.credentials_by_${column}": ["user.credentials_by_email", "user.credentials_by_login"],
  "${owner}.stage_avatar": ["page.stage_avatar", "user.stage_avatar"],
  "${owner}.settle_avatar": ["page.settle_avatar", "user.settle_avatar"],
  "${owner}.remove_avatar": ["page.remove_avatar", "user.remove_avatar"],
};

/** Here the name is a parameter, and its callers' names are looked at. */
const HANDED_ON = ["actors/runtime/committer.ts: name", "db/kv.ts: name"];

const statements = await allStatements();

Deno.test("db/statements has the text of every named statement, and nothing else", async () => {
  const files = filesOf(statements);
  const stored = await storedFiles();
  const names = [...new Set([...files.keys(), ...stored.keys()])].sort();
  const different = names.filter((name) => files.get(name) !== stored.get(name));
  assert.deepEqual(different, [], "run: deno task statements");
});

Deno.test("Every name that the source gives a statement is one of those", () => {
  const { literals, templates, others } = namesInSource();
  assert.ok(literals.size > 150, `only ${literals.size} names were found`);
  assert.deepEqual(others, HANDED_ON, "a statement's name is a literal or a template");
  assert.deepEqual([...templates].sort(), Object.keys(TEMPLATES).sort());
  const named = new Set([...literals, ...Object.values(TEMPLATES).flat()]);
  const collected = new Set(statements.map(({ name }) => name.replace(/\.receipted$/, "")));
  assert.deepEqual([...named.difference(collected)], [], "call its function in tasks/statements/calls/");
  assert.deepEqual([...collected.difference(named)], [], "these names are nowhere in the source");
});

Deno.test("A layout changes white space alone", () => {
  const words = (sql: string) => tokensOf(sql).map(({ text }) => text);
  for (const { name, text } of statements) assert.deepEqual(words(laidOut(text)), words(text), name);
});

Deno.test("A layout does not depend on how the source is broken into lines", () => {
  for (const { name, text } of statements) {
    const broken = tokensOf(text).map(({ text, isApart }) => (isApart ? "\n      " : "") + text).join("");
    assert.equal(laidOut(broken), laidOut(text), name);
  }
});
