/** `db/statements/` has every named SQL statement as it is sent. */
import assert from "node:assert/strict";
import { allStatements } from "../../tasks/statements/collect.ts";
import { filesOf, storedFiles } from "../../tasks/statements/snapshot.ts";
import { formatSql } from "../../tasks/statements/format.ts";
import { tokensOf } from "../../tasks/statements/tokens.ts";
import { namesInSource } from "../support/statement_names.ts";

/** All names that each template produces. */
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

/** The name is a parameter here, so the callers' names are checked. */
const PASSED_ON = ["actors/runtime/committer.ts: name", "db/kv.ts: name"];

const statements = await allStatements();

Deno.test("db/statements has the text of every named statement, and nothing else", async () => {
  const files = filesOf(statements);
  const stored = await storedFiles();
  const names = [...new Set([...files.keys(), ...stored.keys()])].sort();
  const different = names.filter((name) => files.get(name) !== stored.get(name));
  assert.deepEqual(different, [], "run: deno task statements");
});

Deno.test("Every statement name in the source is in db/statements", () => {
  const { literals, templates, others } = namesInSource();
  assert.ok(literals.size > 150, `only ${literals.size} names were found`);
  assert.deepEqual(others, PASSED_ON, "a statement's name is a literal or a template");
  assert.deepEqual([...templates].sort(), Object.keys(TEMPLATES).sort());
  const named = new Set([...literals, ...Object.values(TEMPLATES).flat()]);
  const collected = new Set(statements.map(({ name }) => name.replace(/\.receipted$/, "")));
  assert.deepEqual([...named.difference(collected)], [], "call its function in tasks/statements/calls/");
  assert.deepEqual([...collected.difference(named)], [], "these names are nowhere in the source");
});

Deno.test("A name is read from any call", () => {
  const { literals, templates, others } = namesInSource([[
    "db/kv.ts",
    `const a = await sql.query<Map<string, (a: 1) => 2>>(\`, \${f(")", \`}\`)} ' \`, // ,
      [/* , */ "(", ')'], "one.name");
    this.sql.execute(TEXT, params, \`two.\${name}\`);
    c.req.query("three"); sql.query("select 1"); sql.query(text, [], name ?? "four.name");
    export const five = defineCommit<{ a: "(" }, B>("five.name", { body: "" });
    return written(sql, batches, [f(1, 2)], "six.name", text);`,
  ]]);
  assert.deepEqual([...literals], ["one.name", "five.name", "six.name"]);
  assert.deepEqual([...templates], ["two.${name}"]);
  assert.deepEqual(others, ['db/kv.ts: name ?? "four.name"']);
});

Deno.test("Formatting changes white space only", () => {
  const words = (sql: string) => tokensOf(sql).map(({ text }) => text);
  for (const { name, text } of statements) assert.deepEqual(words(formatSql(text)), words(text), name);
});

Deno.test("Formatting does not depend on the line breaks of the source", () => {
  for (const { name, text } of statements) {
    const broken = tokensOf(text).map(({ text, hasSpace }) => (hasSpace ? "\n      " : "") + text).join("");
    assert.equal(formatSql(broken), formatSql(text), name);
  }
});
