import assert from "node:assert/strict";
import { Committer, Fenced } from "../../actors/runtime/committer.ts";
import type { Sql } from "../../db/sql.ts";
import { setRole } from "../../db/moderation.ts";
import { commitStatements } from "../../tasks/statements/commits.ts";
import { openTestDatabase } from "../support/database.ts";

async function withDatabase(test: (sql: Sql) => Promise<void>): Promise<void> {
  await using sql = await openTestDatabase();
  await test(sql);
}

Deno.test("Every commit is a valid statement with its own name", () =>
  withDatabase(async (sql) => {
    const all = await commitStatements();
    assert.ok(all.length >= 20, `${all.length} commits were found`);
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
    for (const { name, text } of all) {
      const rows = await sql.execute(text, ["[]", []]).catch((error) => assert.fail(`${name}: ${error.message}`));
      assert.deepEqual(rows, [], name);
    }
  }));

Deno.test("Every constraint with a reason in a commit exists in the database", () =>
  withDatabase(async (sql) => {
    const rows = await sql.query<{ name: string }>(
      "select conname as name from pg_constraint union select relname from pg_class where relkind = 'i'",
    );
    const rules = new Set(rows.map(({ name }) => name));
    const named = (await commitStatements()).flatMap(({ violations }) => Object.keys(violations));
    assert.ok(named.length > 0);
    for (const name of named) assert.ok(rules.has(name), `there is no constraint ${name}`);
  }));

Deno.test("A commit under another epoch than the partition's is fenced", () =>
  withDatabase(async (sql) => {
    const committer = new Committer(sql, () => {});
    const system = { by_id: null, by_role: null, reason: null };
    const row = { id: crypto.randomUUID(), role: "user", at: new Date().toISOString(), ...system };
    await sql.execute("update partitions set epoch = 7 where id = 3");
    const submit = (partition: number, epoch: number) => committer.submit(setRole, { partition, epoch, row });
    await Promise.all([
      assert.rejects(() => submit(3, 6), Fenced),
      assert.rejects(() => submit(3, 8), Fenced),
      assert.rejects(() => submit(999, 7), Fenced),
      submit(3, 7),
    ]);
    assert.deepEqual([committer.stats.commits, committer.stats.statements < 4], [4, true]);
  }));
