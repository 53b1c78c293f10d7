import assert from "node:assert/strict";
import pg from "../../db/pg.ts";
import { migrate } from "../../db/migrate.ts";
import { connectPostgres } from "../../db/postgres.ts";
import { SEARCH_STATEMENTS } from "../../db/search/statement.ts";
import type { Sql } from "../../db/sql.ts";
import { newId } from "../../lib/ids.ts";
import { databaseOn, freshDatabase, openTestDatabase, testServer } from "../support/database.ts";
import { addPage, addPerson, namesFound } from "../support/search_data.ts";

const MIGRATIONS = new URL("../../db/migrations/", import.meta.url);
/** Connections of `pg` close a moment after the test. */
const loose = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "Search finds data from before its migration, with followers",
  ...loose,
  fn: async () => {
    await using sql = await openTestDatabase({ migrated: false });
    const files = [...Deno.readDirSync(MIGRATIONS)].map(({ name }) => name).sort();
    const read = (name: string) => Deno.readTextFile(new URL(name, MIGRATIONS));
    for (const name of files.filter((name) => name < "0006")) await sql.script(await read(name));
    const old = await addPerson(sql, { login: "veteran", first: "Vesna", last: "Oldham", followers: 3 });
    await addPage(sql, old, { handle: "archive", name: "Старый архив", tags: ["подшивка"], followers: 7 });
    await addPage(sql, old, { handle: "archive2", name: "Старый архив" });
    for (const name of files.filter((name) => name >= "0006")) await sql.script(await read(name));
    for (const q of ["архив", "starii arkhiv", "архвы"]) {
      assert.deepEqual(await namesFound(sql, old, "pages", q), ["archive", "archive2"], q);
    }
    assert.deepEqual(await namesFound(sql, old, "pages", "подшивки"), ["archive"]);
    assert.deepEqual(await namesFound(sql, old, "users", "vesna oldhma"), ["veteran"]);
    assert.deepEqual(await sql.query("select followers from popular_pages order by 1"), [{ followers: 3 }, {
      followers: 7,
    }]);
  },
});

Deno.test({
  name: "Search needs no superuser, only the owner of the database",
  ...loose,
  fn: async () => {
    const url = new URL(await freshDatabase({ migrated: false }));
    const owner = `owner_${crypto.randomUUID().slice(0, 8)}`;
    await administer(`create role ${owner} login`, `alter database ${url.pathname.slice(1)} owner to ${owner}`);
    url.username = owner;
    await using sql = connectPostgres(url.href, { max: 1 });
    await migrate(sql);
    const viewer = await addPerson(sql, { login: "owner", first: "Olive" });
    assert.deepEqual(await namesFound(sql, viewer, "users", "olvie"), ["owner"]);
  },
});

Deno.test({
  name: "Search matches Cyrillic in a database whose locale has none",
  ...loose,
  fn: async () => {
    const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
    await administer(`create database ${name} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'`);
    await using sql = connectPostgres(databaseOn(await testServer(), name), { max: 1 });
    await migrate(sql);
    const viewer = await addPerson(sql, { login: "viewer" });
    await addPage(sql, viewer, { handle: "ezhi", name: "ЁЖИКИ в Тумане", tags: ["звери"] });
    for (const q of ["ежики", "ЁЖИК", "ёжиках тумана", "ezhiki", "ежкии", "зверь", "ТУМ"]) {
      assert.deepEqual(await namesFound(sql, viewer, "pages", q), ["ezhi"], q);
    }
  },
});

Deno.test({
  name: "New words in any order, by any number of writers at once, never deadlock",
  ...loose,
  fn: async () => {
    await using sql = await openTestDatabase({ max: 8 });
    const owner = await addPerson(sql, { login: "owner" });
    for (let round = 0; round < 12; round++) {
      const words = Array.from({ length: 30 }, (_, i) => `b${round}c${i}`);
      // One statement adds several pages, each with a few of the same new words.
      const add = (names: string[]) =>
        sql.execute(
          `insert into pages (id, owner_id, uuid, name, created_at)
          select id, $1, 'p' || replace(id::text, '-', ''), name, now()
          from unnest($2::uuid[], $3::text[]) w (id, name)`,
          [owner, names.map(() => newId()), names],
        );
      await Promise.all(Array.from({ length: 8 }, (_, i) => add(i % 2 ? words : words.toReversed())));
    }
    const [row] = await sql.query<{ n: number }>("select count(*) as n from spellings where word like 'b%c%'");
    assert.equal(row!.n, 12 * 30);
  },
});

Deno.test({
  name: "Search reads no whole table",
  ...loose,
  fn: async () => {
    await using sql = await openTestDatabase({ max: 1 });
    const viewer = await addPerson(sql, { login: "viewer" });
    await sql.execute(
      `insert into users
      (id, login, password_hash, first_name, last_name, email, email_verified_at, page_id, created_at)
      select gen_random_uuid(), 'person' || n, '', 'Person', 'No', 'person' || n || '@rookery.test',
        now(), gen_random_uuid(), now()
      from generate_series(1, 5000) n`,
    );
    await sql.execute(
      `insert into pages (id, owner_id, is_personal, uuid, name, created_at)
      select page_id, id, true, login, 'Page of ' || login, now() from users where id <> $1`,
      [viewer],
    );
    await sql.execute("update pages set follower_count = 1");
    await sql.execute("vacuum analyze");
    // Prepared statements get a generic plan after a while.
    await sql.query("set plan_cache_mode = force_generic_plan");
    for (const [name, text] of Object.entries(SEARCH_STATEMENTS)) {
      for (const q of ["p", "person", "person42", "persno", "no match"]) {
        const plan = await explained(sql, text, [viewer, true, q, 21, null, null, null, []]);
        const read = [...plan.matchAll(/Seq Scan on (\w+)/g)].map(([, table]) => table);
        assert.deepEqual(read.filter((table) => table !== "follows"), [], `${name} ${q}:\n${plan}`);
      }
    }
  },
});

async function explained(sql: Sql, text: string, params: Parameters<Sql["query"]>[1]): Promise<string> {
  const rows = await sql.query<{ "QUERY PLAN": string }>(`explain ${text}`, params);
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}

async function administer(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: await testServer() });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
