/**
 * What every `Sql` driver must do (`db/sql.ts`). One database for all tests of a suite; each creates its own tables.
 */
import assert from "node:assert/strict";
import { type Sql, SqlError } from "../../db/sql.ts";

const RESULTS: [expression: string, value: unknown][] = [
  ["1::int2", 1],
  ["(-2147483648)::int4", -2147483648],
  ["9007199254740991::int8", 9007199254740991],
  ["1.50::numeric", "1.50"],
  ["1.5::float8", 1.5],
  ["'NaN'::float8", NaN],
  ["true", true],
  ["false", false],
  ["null::text", null],
  ["'Привет, 🦜'::text", "Привет, 🦜"],
  ["''::text", ""],
  ["'2026-01-31 12:00:00+00'::timestamptz", "2026-01-31T12:00:00.000Z"],
  ["'2026-01-31 12:00:00.1+03'::timestamptz", "2026-01-31T09:00:00.100Z"],
  ["'2026-01-31 12:00:00.123999Z'::timestamptz", "2026-01-31T12:00:00.123Z"],
  ["'infinity'::timestamptz", "infinity"],
  ["'2026-01-31'::date", "2026-01-31"],
  [`'{"a":[1,null,"x"],"$bytes":"AA"}'::jsonb`, { a: [1, null, "x"], $bytes: "AA" }],
  ["'[1, 2]'::json", [1, 2]],
  ["'null'::jsonb", null],
  [String.raw`'\x00ff10'::bytea`, new Uint8Array([0, 255, 16])],
  [String.raw`'\x'::bytea`, new Uint8Array()],
  ["'3f2504e0-4f89-11d3-9a0c-0305e82c3301'::uuid", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"],
  ["'{}'::int[]", []],
  ["array[1, null, 3]", [1, null, 3]],
  ["array[[1, 2], [3, 4]]", [[1, 2], [3, 4]]],
  ["'[0:1]={7,8}'::int[]", [7, 8]],
  [`array['a,b', 'say "hi"', 'back\\slash', '', 'NULL', null, '{}']`, [
    "a,b",
    'say "hi"',
    "back\\slash",
    "",
    "NULL",
    null,
    "{}",
  ]],
  ["array['2026-01-31 12:00:00+00'::timestamptz]", ["2026-01-31T12:00:00.000Z"]],
  [`array['{"a": "b,c"}'::jsonb]`, [{ a: "b,c" }]],
  ["array[true, false]", [true, false]],
  ["array['3f2504e0-4f89-11d3-9a0c-0305e82c3301'::uuid]", ["3f2504e0-4f89-11d3-9a0c-0305e82c3301"]],
];
const NOW = new Date("2026-01-31T12:00:00.123Z");
const BYTES = Uint8Array.from({ length: 256 }, (_, i) => i);
const ODD = ["", "NULL", "null", 'a"b', "a\\b", "a,b", "{x}", " ", "Ж\n", null];

type SqlTest = (name: string, run: (sql: Sql) => Promise<void>) => void;

export function sqlSuite(driver: string, open: () => Promise<Sql>): void {
  let sql: Sql;
  let opened: Sql | undefined;
  // The database outlives the test that opened it.
  const test: SqlTest = (name, run) =>
    Deno.test({ name: `${driver}: ${name}`, fn: () => run(sql), sanitizeOps: false, sanitizeResources: false });

  Deno.test.beforeAll(async () => {
    opened = sql = await open();
  });
  Deno.test.afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
  });

  typeTests(test);
  rowTests(test);
  errorTests(test);
  statementTests(test);
}

function typeTests(test: SqlTest): void {
  test("reads every type as specified", async (sql) => {
    for (const [expression, value] of RESULTS) assert.deepEqual(await one(sql, expression), value, expression);
  });

  test("accepts every type of parameter", async (sql) => {
    assert.equal(await one(sql, "$1::text", "a'b\\c\0".slice(0, 5)), "a'b\\c");
    assert.equal(await one(sql, "$1::int8", 9007199254740991), 9007199254740991);
    assert.equal(await one(sql, "$1::float8", -1.5e-7), -1.5e-7);
    assert.equal(await one(sql, "$1::float8", Infinity), Infinity);
    assert.equal(await one(sql, "$1::numeric", "12345678901234567890.10"), "12345678901234567890.10");
    assert.equal(await one(sql, "$1::boolean", true), true);
    assert.equal(await one(sql, "$1::text", null), null);
    assert.equal(await one(sql, "$1::timestamptz", NOW), "2026-01-31T12:00:00.123Z");
    assert.equal(await one(sql, "$1::timestamptz", "2026-01-31T12:00:00.123Z"), "2026-01-31T12:00:00.123Z");
    assert.deepEqual(await one(sql, "$1::bytea", BYTES), BYTES);
    // A view into a larger buffer sends only its part.
    assert.deepEqual(await one(sql, "$1::bytea", BYTES.subarray(3, 5)), new Uint8Array([3, 4]));
    assert.deepEqual(await one(sql, "$1::text[]", ODD), ODD);
    assert.deepEqual(await one(sql, "$1::int[]", [1, null, -3]), [1, null, -3]);
    assert.deepEqual(await one(sql, "$1::boolean[]", [true, false]), [true, false]);
    assert.deepEqual(await one(sql, "$1::uuid[]", []), []);
    assert.deepEqual(await one(sql, "$1::jsonb", JSON.stringify({ a: "б" })), { a: "б" });
    assert.equal((await one(sql, "$1::text", "x".repeat(3_000_000)) as string).length, 3_000_000);
  });

  test("reads times as UTC in any time zone of the machine", async (sql) => {
    assert.equal(await one(sql, "current_setting('timezone')"), "UTC");
  });
}

function rowTests(test: SqlTest): void {
  test("returns rows in order, and an empty list for a statement without rows", async (sql) => {
    const rows = await sql.query<{ n: number }>("select n from generate_series(1, 1000) n");
    assert.deepEqual(rows.map((row) => row.n), Array.from({ length: 1000 }, (_, i) => i + 1));
    await sql.script("create table s_empty (id int)");
    assert.deepEqual(await sql.execute("insert into s_empty values (1)"), []);
    assert.deepEqual(await sql.execute("insert into s_empty values (2) returning id"), [{ id: 2 }]);
  });
}

function errorTests(test: SqlTest): void {
  test("reports the violated constraint, and the statement changes nothing", async (sql) => {
    await sql.script("create table s_keys (id int primary key, parent int constraint s_parent references s_keys (id))");
    await sql.execute("insert into s_keys values (1, null)");
    await fails(sql.execute("insert into s_keys values (2, null), (1, null)"), "constraint", "23505", "s_keys_pkey");
    await fails(sql.execute("insert into s_keys values (3, 9)"), "constraint", "23503", "s_parent");
    assert.deepEqual(await sql.query("select id from s_keys"), [{ id: 1 }]);
  });

  test("reports other errors as faults, and continues after each", async (sql) => {
    await fails(sql.query("select nothing"), "fault", "42703");
    await fails(sql.query("selec"), "fault", "42601");
    await fails(sql.query("select 1 / $1::int", [0]), "fault", "22012");
    await fails(sql.query("select $1::int", ["x"]), "fault", "22P02");
    await fails(sql.query("select $1::text", []), "fault");
    await fails(sql.query("select $1::timestamptz", [new Date(NaN)]), "fault");
    assert.equal(await one(sql, "1"), 1);
  });
}

function statementTests(test: SqlTest): void {
  test("returns each of many concurrent statements its own rows", async (sql) => {
    const answers = await Promise.all(
      Array.from(
        { length: 500 },
        (_, i) => i % 50 === 0 ? sql.query("selec").catch(() => "failed") : one(sql, "$1::int", i),
      ),
    );
    assert.deepEqual(answers, Array.from({ length: 500 }, (_, i) => i % 50 === 0 ? "failed" : i));
  });

  test("keeps a named statement, also after it failed", async (sql) => {
    const divide = (n: number) => sql.query("select 6 / $1::int as value", [n], "s_divide");
    assert.deepEqual(await divide(2), [{ value: 3 }]);
    await fails(divide(0), "fault", "22012");
    assert.deepEqual(await divide(3), [{ value: 2 }]);
    await fails(sql.query("selec $1", [1], "s_broken"), "fault", "42601");
    await fails(sql.query("selec $1", [1], "s_broken"), "fault", "42601");
    await Promise.all(Array.from({ length: 100 }, () => divide(1)));
  });

  test("follows a table altered under a named statement", async (sql) => {
    await sql.script("create table s_shape (a int); insert into s_shape values (1)");
    const read = () => sql.query("select * from s_shape", [], "s_shape");
    assert.deepEqual(await read(), [{ a: 1 }]);
    await sql.script("alter table s_shape add b int default 2");
    assert.deepEqual(await read(), [{ a: 1, b: 2 }]);
  });

  test("runs a script completely or not at all", async (sql) => {
    await sql.script("create table s_script (id int); insert into s_script values (1); -- the end");
    await fails(sql.script("insert into s_script values (2); insert into s_script values ('x')"), "fault", "22P02");
    await fails(sql.script("insert into s_script values (3); select 1 / 0; create table s_never (id int)"), "fault");
    assert.deepEqual(await sql.query("select id from s_script"), [{ id: 1 }]);
    await sql.script("do $$ begin insert into s_script values (4); end $$");
    assert.deepEqual(await sql.query("select count(*) as n from s_script"), [{ n: 2 }]);
  });

  test("offers similarity search by trigrams", async (sql) => {
    await sql.script("create extension if not exists pg_trgm");
    assert.equal(await one(sql, "similarity('rookery', 'rookery')"), 1);
  });
}

/** The value of one expression. */
async function one(sql: Sql, expression: string, ...params: Parameters<Sql["query"]>[1] & unknown[]): Promise<unknown> {
  return (await sql.query<{ value: unknown }>(`select ${expression} as value`, params))[0]?.value;
}

async function fails(statement: Promise<unknown>, kind: SqlError["kind"], code?: string, constraint?: string) {
  const error = await statement.then(() => undefined, (error) => error);
  assert.ok(error instanceof SqlError, `expected an SqlError, got ${error}`);
  assert.equal(error.kind, kind, error.message);
  if (code) assert.equal(error.code, code);
  if (constraint) assert.equal(error.constraint, constraint);
}
