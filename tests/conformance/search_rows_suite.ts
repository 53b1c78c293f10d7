/** The tables of search (`db/migrations/0006_search.sql`) with any query, name and deletion. */
import assert from "node:assert/strict";
import { pruneSpellings } from "../../db/search/spellings.ts";
import type { Sql } from "../../db/sql.ts";
import { addPage, namesFound, openTown, type Town } from "../support/search_data.ts";
import { Seeded } from "../support/seeded.ts";

type SearchTest = (name: string, run: (town: Town) => Promise<void>) => void;

export function searchRowsSuite(driver: string, open: () => Promise<Sql>): void {
  let town: Town;
  const test: SearchTest = (name, run) =>
    Deno.test({ name: `${driver}: search ${name}`, fn: () => run(town), sanitizeOps: false, sanitizeResources: false });

  Deno.test.beforeAll(async () => {
    town = await openTown(await open());
  });
  Deno.test.afterAll(async () => {
    await town?.sql[Symbol.asyncDispose]();
  });

  countTests(test);
  inputTests(test);
  spellingTests(test);
  deletionTests(test);
}

function countTests(test: SearchTest): void {
  test("is not affected by posts, likes and other counts", async ({ sql, keeper }) => {
    const page = await addPage(sql, keeper, { handle: "dunlin", followers: 4 });
    const version = async (table: string) =>
      (await sql.query<{ at: string }>(`select ctid::text || xmin::text as at from ${table} where page_id = $1`, [
        page,
      ]))[0]?.at;
    const before = [await version("page_search"), await version("popular_pages")];
    await sql.execute(
      `update pages set post_count = post_count + 1, request_count = request_count + 1, is_private = true,
        name = name, uuid = uuid, tags = tags, description = description where id = $1`,
      [page],
    );
    assert.deepEqual([await version("page_search"), await version("popular_pages")], before);
    await sql.execute("update pages set follower_count = follower_count + 1 where id = $1", [page]);
    assert.equal(await version("page_search"), before[0]);
    assert.notEqual(await version("popular_pages"), before[1]);
  });
}

function inputTests(test: SearchTest): void {
  test("answers any input", async ({ sql, keeper, pages }) => {
    const odd = [
      ..."'\"\\%_*:&|!()<>-+~^$#@.,;/?[]{}`=",
      " ",
      "  \t ",
      "%%",
      "a%",
      "_____",
      "\\",
      "\\'",
      "a\\",
      "'a'",
      "a:*",
      "a & b",
      "!a",
      "a <-> b",
      "(((",
      "((a",
      "':*'",
      "a' | 'b",
      "--",
      "'; drop table pages",
      "$1",
      "🦜",
      "👩‍🚀🏳️‍🌈",
      "ﷺ".repeat(200),
      "é".normalize("NFD"),
      "\u0301\u0301",
      "́",
      "i".repeat(200),
      "ii ".repeat(66),
      "a ".repeat(100),
      "ab ".repeat(66),
      "слово ".repeat(33),
      "и",
      "the",
      "и не the of",
      "\u202egnirts",
      "\u200b",
      "\uffff",
      "\u{10ffff}",
      "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
      "東京",
      "ελληνικά",
      "عربي",
      "ß",
      "İstanbul",
      "1e309",
      "-1",
      "NaN",
      "null",
      "0x00",
      "http://example.org/a?b=c#d",
      "someone@example.org",
      "word".repeat(50),
    ];
    const random = new Seeded(8);
    const letters = [..."ab ёЩ'\"\\%_:*&|!()<->@#.,0é\u0301🦜ﷺ\u{10ffff}"];
    for (let i = 0; i < 200; i++) {
      odd.push(Array.from({ length: random.whole(1, 40) }, () => random.pick(letters)).join(""));
    }
    for (const q of odd) {
      for (const section of ["pages", "users"] as const) await namesFound(sql, keeper, section, q, { limit: 100 });
    }
    for (const q of ["%", "\\", "'", "()", "👩‍🚀", " "]) assert.deepEqual(await pages(q), [], q);
  });
}

function spellingTests(test: SearchTest): void {
  test("treats different spellings alike", async ({ sql }) => {
    const folded: [fold: string, spellings: string[]][] = [
      ["abvgdezi klmnoprstuf", ["абвгдезий клмнопрстуф", "АБВГДЕЗИЙ КЛМНОПРСТУФ"]],
      ["zh ts ch sh shch kh", ["ж ц ч ш щ х", "Ж Ц Ч Ш Щ Х"]],
      ["e iu ia obekt ruzhe", ["э ю я объект ружьё", "Ё Ю Я ОБЪЕКТ РУЖЬЕ"]],
      ["moi iula vini", ["Мой юла выны", "moy yula vyny", "moj jula wyny"]],
      ["dmitri", ["Дмитрий", "Dmitriy", "Dmitrij", "Dmitry", "Dmitrii", "DMITRI"]],
      ["ukraini gedz ei", ["Україні ґедзь єй"]],
      ["aeiou naive cafe", ["áèîöū naïve café", "ÁÈÎÖŪ NAÏVE CAFÉ"]],
      ["oslo lodz strasse", ["Øslo Łódź straße"]],
      ["aleksander", ["Alexander", "aleksander"]],
      ["red foks 7 go", ["Red-Fox_7: «go»!", "  red   fox—7\tGO  "]],
      ["oreilli dont", ["O'Reilly don’t", "oreilly dont"]],
      ["fi 12 tm", ["ﬁ ①② ™"]],
      ["", ["", " ", "-_-", "«»…!?", "\u0301"]],
    ];
    for (const [fold, spellings] of folded) {
      for (const spelling of spellings) {
        const [row] = await sql.query<{ fold: string }>("select search_fold($1) as fold", [spelling]);
        assert.equal(row!.fold, fold, spelling);
      }
    }
  });

  test("accepts any name of a page", async ({ sql, keeper, pages }) => {
    const long = [
      "ﷺ".repeat(80),
      "я".repeat(80),
      "🦜".repeat(40),
      "x".repeat(80),
      "a'b\\c:*&|!<->()%_",
      "\u0301".repeat(80),
      "東京タワー",
    ];
    for (const [i, name] of long.entries()) {
      const description = name.repeat(Math.floor(2_000 / name.length));
      await addPage(sql, keeper, {
        handle: `odd-${i}-${"y".repeat(50)}`,
        name,
        description,
        tags: ["ﷺ".repeat(30), "ё"],
      });
    }
    assert.deepEqual(await pages("x".repeat(80)), [`odd-3-${"y".repeat(50)}`]);
    assert.deepEqual(await pages("東京"), [`odd-6-${"y".repeat(50)}`]);
    assert.deepEqual(await pages("🦜🦜"), [`odd-2-${"y".repeat(50)}`]);
    await addPage(sql, keeper, { handle: "-_-", name: "***" });
    for (const q of ["-_-", "-_", "***"]) assert.deepEqual(await pages(q), ["-_-"], q);
  });
}

function deletionTests(test: SearchTest): void {
  test("keeps no rows of a deleted page that would block others", async ({ sql, keeper }) => {
    const page = await addPage(sql, keeper, { handle: "p30", name: "Dodo", followers: 3 });
    await sql.execute("update pages set deleted_at = now() where id = $1", [page]);
    await sql.execute("update pages set follower_count = 2 where id = $1", [page]);
    for (const table of ["page_search", "popular_pages"]) {
      assert.deepEqual(await sql.query(`select from ${table} where page_id = $1`, [page]), [], table);
    }
  });

  test("removes spellings of words that are no longer used", async ({ sql, keeper }) => {
    const page = await addPage(sql, keeper, { handle: "p20", name: "Turnstone sandpiper" });
    const kept = await addPage(sql, keeper, { handle: "p21", name: "Sandpiper" });
    const left = async () =>
      (await sql.query<{ word: string }>(
        "select word from spellings where word in ('turnstone', 'sandpiper') order by 1",
      ))
        .map(({ word }) => word);
    const round = async () => {
      for (let batch = await pruneSpellings(sql, ""); batch.last !== "";) batch = await pruneSpellings(sql, batch.last);
    };
    await round();
    assert.deepEqual(await left(), ["sandpiper", "turnstone"]);
    await sql.execute("delete from pages where id = $1", [page]);
    await round();
    assert.deepEqual(await left(), ["sandpiper"]);
    await sql.execute("delete from pages where id = $1", [kept]);
    await round();
    assert.deepEqual(await left(), []);
  });
}
