/**
 * What search must do on every database (`db/search/search.ts`). All tests of a suite share a database and use
 * different words.
 */
import assert from "node:assert/strict";
import { type Hit, idOf, type Place, search } from "../../db/search/search.ts";
import type { Section } from "../../db/search/stages.ts";
import type { Sql } from "../../db/sql.ts";
import { ndcg } from "../support/ndcg.ts";
import { addPage, addPerson, nameOf, namesFound, openTown, type Town } from "../support/search_data.ts";
import { PAGE_QUERIES, PAGES, PEOPLE, PEOPLE_QUERIES } from "./search_grades.ts";

const LEAST_NDCG = 0.9;

type SearchTest = (name: string, run: (town: Town) => Promise<void>) => void;

export function searchSuite(driver: string, open: () => Promise<Sql>): void {
  let town: Town;
  const test: SearchTest = (name, run) =>
    Deno.test({ name: `${driver}: ${name}`, fn: () => run(town), sanitizeOps: false, sanitizeResources: false });

  Deno.test.beforeAll(async () => {
    town = await openTown(await open());
    for (const [login, first, last, followers] of PEOPLE) await addPerson(town.sql, { login, first, last, followers });
    for (const [handle, name, description, tags, followers] of PAGES) {
      await addPage(town.sql, town.keeper, { handle, name, description, tags: tags.split(" "), followers });
    }
  });
  Deno.test.afterAll(async () => {
    await town?.sql[Symbol.asyncDispose]();
  });

  gradedQueryTests(test, driver);
  scriptTests(test);
  rankingTests(test);
  wordTests(test);
  similarityTests(test);
  changeTests(test);
  pagingTests(test);
}

function gradedQueryTests(test: SearchTest, driver: string): void {
  // First, while the database has only the graded data.
  test("ranks the results of graded queries", async ({ sql, keeper }) => {
    assert.ok(PAGE_QUERIES.length + PEOPLE_QUERIES.length >= 60);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const gained: number[] = [];
    for (const [section, queries] of [["pages", PAGE_QUERIES], ["users", PEOPLE_QUERIES]] as const) {
      const each: number[] = [];
      for (const [q, wanted] of queries) {
        for (const name of Object.keys(wanted)) assert.ok(known(section, name), `"${name}" is not in the data`);
        each.push(ndcg(await namesFound(sql, keeper, section, q), wanted));
      }
      say(`${driver}: nDCG@10 of ${queries.length} searches for ${section}: ${mean(each).toFixed(3)}`);
      assert.ok(mean(each) > LEAST_NDCG);
      gained.push(...each);
    }
    say(`${driver}: nDCG@10 of all ${gained.length}: ${mean(gained).toFixed(3)}`);
  });
}

function scriptTests(test: SearchTest): void {
  test("finds a part of text without spaces, in any width", async ({ sql, keeper, pages }) => {
    const names = {
      jp: "日本語のページ",
      sasaki: "佐々木写真館",
      cn: "北京大学图书馆",
      kr: "국립중앙도서관",
      th: "ร้านกาแฟดอยช้าง",
      lo: "ປະເທດລາວ",
      km: "ភាសាខ្មែរ",
      my: "မြန်မာစာ",
      mixed: "東京tower展望台",
    };
    for (const [handle, name] of Object.entries(names)) await addPage(sql, keeper, { handle: `run${handle}`, name });
    await addPage(sql, keeper, { handle: "runtag", name: "By its tag", tags: ["写真"] });
    await addPage(sql, keeper, { handle: "runtext", name: "By its text", description: "毎日の天気予報です。" });
    const wanted: [q: string, names: string[]][] = [
      ["ページ", ["runjp"]],
      ["ﾍﾟｰｼﾞ", ["runjp"]],
      ["本語の", ["runjp"]],
      ["語", ["runjp"]],
      ["佐々木", ["runsasaki"]],
      ["々木写", ["runsasaki"]],
      ["写真", ["runtag", "runsasaki"]],
      ["大学", ["runcn"]],
      ["学大", []],
      ["图书馆 北京", ["runcn"]],
      ["도서관", ["runkr"]],
      ["도서관".normalize("NFD"), ["runkr"]],
      ["กาแฟ", ["runth"]],
      ["ລາວ", ["runlo"]],
      ["ខ្មែរ", ["runkm"]],
      ["မာစာ", ["runmy"]],
      ["展望", ["runmixed"]],
      ["tower", ["runmixed"]],
      ["tower 展望", ["runmixed"]],
      ["展望 tower", ["runmixed"]],
      ["tower 大学", []],
      ["TOWER展望", ["runmixed"]],
      ["天気", ["runtext"]],
    ];
    for (const [q, expected] of wanted) assert.deepEqual((await pages(q)).sort(), expected.sort(), q);
    await sql.execute("delete from pages where uuid like 'run%'");
  });

  test("finds a tag by every spelling that folds to it", async ({ sql, keeper, pages }) => {
    await addPage(sql, keeper, { handle: "fold1", name: "One", tags: ["strasse"] });
    await addPage(sql, keeper, { handle: "fold2", name: "Two", tags: ["i\u0307zmir"] });
    await addPage(sql, keeper, { handle: "fold3", name: "Three", tags: ["οδοσ"] });
    for (const q of ["straße", "STRAẞE", "#Strasse"]) assert.deepEqual(await pages(q), ["fold1"], q);
    for (const q of ["İzmir", "izmir"]) assert.deepEqual(await pages(q), ["fold2"], q);
    for (const q of ["ΟΔΟΣ", "οδος", "ὀδός"]) assert.deepEqual(await pages(q), ["fold3"], q);
    await sql.execute("delete from pages where uuid like 'fold%'");
  });
}

function rankingTests(test: SearchTest): void {
  test("ranks exact handles first, then names, prefixes, words, tags, descriptions", async ({ sql, keeper, pages }) => {
    const kinds = [
      { handle: "zebra" },
      { handle: "z-e-bra" },
      { handle: "p1", name: "Zebra" },
      { handle: "p2", name: "Zebra crossing" },
      { handle: "zebrano" },
      { handle: "p3", name: "A zebra at large" },
      { handle: "p4", tags: ["zebra"] },
      { handle: "p5", description: "On the zebra and its stripes" },
      { handle: "p6", name: "The zebralike" },
    ];
    // The worse the match, the more followers: they do not outrank a better match.
    for (const [followers, page] of kinds.entries()) await addPage(sql, keeper, { ...page, followers });
    assert.deepEqual(await pages("zebra"), kinds.map(({ handle }) => handle));
  });

  test("ranks equal matches by followers", async ({ sql, keeper, pages, people }) => {
    const followers = [3, 11, 0, 7, 2, 0];
    for (const [i, n] of followers.entries()) {
      await addPage(sql, keeper, { handle: `walrus${i}`, followers: n });
      await addPerson(sql, { login: `otter${i}`, followers: n });
    }
    assert.deepEqual((await pages("walr")).slice(0, 4), ["walrus1", "walrus3", "walrus0", "walrus4"]);
    assert.deepEqual((await people("otte")).slice(0, 4), ["otter1", "otter3", "otter0", "otter4"]);
  });
}

function wordTests(test: SearchTest): void {
  test("finds a person by login, first name, last name and both in any order", async ({ sql, people }) => {
    await addPerson(sql, { login: "quokka77", first: "Quentin", last: "Okavango" });
    for (
      const q of ["QUOKKA77", "quok", "quentin", "okavango", "oka", "quentin okavango", "Okavango Quentin", "quent oka"]
    ) {
      assert.deepEqual(await people(q), ["quokka77"], q);
    }
  });

  test("matches Cyrillic with Latin, without case, accents and ё", async ({ sql, keeper, pages, people }) => {
    await addPage(sql, keeper, { handle: "privet-mir", name: "Привет, Мир!" });
    await addPage(sql, keeper, { handle: "p8", name: "Щёлковские Съёмки Юности" });
    await addPage(sql, keeper, { handle: "bazilik" });
    await addPage(sql, keeper, { handle: "p9", name: "Crème brûlée à Orléans" });
    await addPerson(sql, { login: "dmitriev", first: "Dmitriy", last: "Yakushev" });
    for (const q of ["privet", "Привет", "ПРИВЕТ МИР", "privet_mir", "privetmir", "привет-мир"]) {
      assert.equal((await pages(q))[0], "privet-mir", q);
    }
    for (const q of ["щелковские", "shchelkovskie", "съемки", "semki", "юность", "iunosti", "yunosti"]) {
      assert.deepEqual(await pages(q), ["p8"], q);
    }
    assert.deepEqual(await pages("базилик"), ["bazilik"]);
    for (const q of ["creme brulee", "BRÛLÉE", "brulee orleans"]) assert.deepEqual(await pages(q), ["p9"], q);
    for (const q of ["Дмитрий", "dmitrij", "dmitry yakushev", "якушев", "iakushev"]) {
      assert.ok((await people(q)).includes("dmitriev"), q);
    }
  });

  test("finds words in any order and form, and the last one by its prefix", async ({ sql, keeper, pages }) => {
    await addPage(sql, keeper, {
      handle: "p14",
      name: "Красивая птица",
      tags: ["зарисовки"],
      description: "Running brooks of Wales",
    });
    for (
      const q of [
        "птица красивая",
        "красивые птицы",
        "красивой пти",
        "зарисовка",
        "птиц зарис",
        "brook runs",
        "brooks running wal",
      ]
    ) {
      assert.deepEqual(await pages(q), ["p14"], q);
    }
    assert.deepEqual(await pages("красивая лодка"), []);
  });
}

function similarityTests(test: SearchTest): void {
  test("tolerates a missing, extra, wrong or swapped letter", async ({ sql, keeper, pages }) => {
    await addPage(sql, keeper, { handle: "p10", name: "Kingfisher" });
    await addPage(sql, keeper, { handle: "p11", name: "Дрозд" });
    await addPage(sql, keeper, { handle: "p12", name: "Lark" });
    const errors = ["kingfissher", "kingfiher", "kingfusher", "kingfihser", "ikngfisher", "kingfishre"];
    for (const q of errors) assert.deepEqual(await pages(q), ["p10"], q);
    for (const q of ["дорзд", "дрозт", "дрозжд", "drods"]) assert.deepEqual(await pages(q), ["p11"], q);
    // One wrong of four characters leaves a quarter of the trigrams.
    assert.deepEqual(await pages("lurk"), ["p12"]);
    assert.deepEqual(await pages("kingfihser lrak"), []);
  });

  test("matches words exactly if all are found, otherwise by similarity", async ({ sql, keeper, pages }) => {
    await addPage(sql, keeper, { handle: "p15", name: "A nightjar", followers: 1 });
    await addPage(sql, keeper, { handle: "p16", name: "A nightjay", followers: 9 });
    assert.deepEqual(await pages("nightjay"), ["p16"]);
    assert.deepEqual(await pages("nightjaar"), ["p15", "p16"]);
    // Known words that never occur together.
    await addPage(sql, keeper, { handle: "p17", name: "Nigthjar" });
    assert.deepEqual(await pages("nigthjar kingfisher"), []);
    await addPage(sql, keeper, { handle: "p18", name: "Nightjar, kingfisher" });
    assert.deepEqual(await pages("nigthjar kingfisher"), ["p18"]);
  });

  test("sets the threshold of similarity for its own statement only", async ({ sql, keeper, pages }) => {
    const threshold = async () =>
      (await sql.query<{ value: string }>("select current_setting('pg_trgm.similarity_threshold') as value"))[0]!.value;
    await sql.query("select similarity('a', 'a')");
    const before = await threshold();
    await addPage(sql, keeper, { handle: "p13", name: "Newt" });
    assert.deepEqual(await pages("nest"), ["p13"]);
    assert.equal(await threshold(), before);
  });
}

function changeTests(test: SearchTest): void {
  test("follows every change of a page or a person", async ({ sql, keeper, pages, people }) => {
    const page = await addPage(sql, keeper, {
      handle: "heronry",
      name: "Herons",
      tags: ["waders"],
      description: "Marshland",
    });
    for (const q of ["heronry", "herons", "waders", "marshland"]) assert.deepEqual(await pages(q), ["heronry"], q);
    await sql.execute(
      `update pages set uuid = 'storkery', name = 'Storks', tags = '{gliders}', description = 'Chimneys' where id = $1`,
      [page],
    );
    for (const q of ["heronry", "herons", "waders", "marshland"]) assert.deepEqual(await pages(q), [], q);
    for (const q of ["storkery", "storks", "gliders", "chimneys"]) assert.deepEqual(await pages(q), ["storkery"], q);
    const person = await addPerson(sql, { login: "gannet", first: "Gwen", last: "Solander" });
    await sql.execute("update users set first_name = 'Ottilie' where id = $1", [person]);
    assert.deepEqual([await people("gwen"), await people("ottilie")], [[], ["gannet"]]);
    await sql.execute("delete from pages where id = $1", [page]);
    assert.deepEqual(await pages("storks"), []);
  });
}

function pagingTests(test: SearchTest): void {
  test("shows the most followed of many candidates and pages through all of them", async ({ sql, keeper, pages }) => {
    await sql.execute(
      `insert into pages (id, owner_id, uuid, name, created_at)
      select gen_random_uuid(), $1, 'flamingo' || n, 'Colony ' || n, now() from generate_series(1, 1500) n`,
      [keeper],
    );
    await sql.execute(
      `update pages set follower_count = 900 - (substr(uuid, 9)::int % 7)
      where uuid in ('flamingo1499', 'flamingo1000')`,
    );
    for (const q of ["fl", "flamingo", "colony", "colon"]) {
      assert.deepEqual((await pages(q)).slice(0, 2), ["flamingo1499", "flamingo1000"], q);
    }
    const all = await search(sql, keeper, { q: "colony", sections: ["pages"], limit: 5_000, verifiedOnly: true });
    const [names, handles] = [all.map(nameOf), new Set(all.map(nameOf))];
    assert.equal(names.length, handles.size, "no result is repeated");
    assert.ok(names.length >= 300, `${names.length} of 1,500 were found`);
    const ranks = all.map(({ rank, followers }) => rank * 1e9 - followers);
    assert.deepEqual(ranks, ranks.toSorted((a, b) => a - b));
    // Up to the limit of candidates, all are found.
    await sql.execute("update pages set name = 'Lagoon' where uuid like 'flamingo1%' and length(uuid) < 12");
    const lagoon = await search(sql, keeper, { q: "lagoo", sections: ["pages"], limit: 5_000, verifiedOnly: true });
    assert.equal(lagoon.length, 111);
  });

  test("continues after any position", async ({ sql, keeper }) => {
    for (let i = 0; i < 40; i++) {
      await addPage(sql, keeper, { handle: `puffin${i}`, name: i % 2 ? "Burrow" : "A burrow", followers: i % 3 });
    }
    const ask = (limit: number, more = {}) =>
      search(sql, keeper, { q: "burrow", sections: ["pages"], limit, verifiedOnly: true, ...more });
    const all = await ask(100);
    assert.equal(all.length, 40);
    for (const size of [1, 7]) {
      const read: Hit[] = [];
      while (read.length < 40) {
        const next = await ask(size, { after: placeOf(read.at(-1)) });
        assert.ok(next.length > 0);
        read.push(...next);
      }
      assert.deepEqual(read.map(nameOf), all.map(nameOf));
    }
    const seen = all.slice(1, 3).map((hit) => idOf(hit).slice(-8));
    assert.deepEqual((await ask(100, { after: placeOf(all[0]), seen })).map(nameOf), all.slice(3).map(nameOf));
  });
}

function placeOf(hit: Hit | undefined): Place | undefined {
  return hit && { rank: hit.rank, followers: hit.followers, id: idOf(hit) };
}

function known(section: Section, name: string): boolean {
  const isLogin = PEOPLE.some(([login]) => login === name);
  return isLogin || section === "pages" && PAGES.some(([handle]) => handle === name);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
