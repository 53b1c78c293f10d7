/** A Reader cannot write: the types forbid `execute`, and the driver of the tests refuses writes in `query`. */
import assert from "node:assert/strict";
import { ping, type Reader, type Sql, SqlError, type Writer } from "../../db/sql.ts";
import { sharedApp } from "../support/app.ts";
import { openTestDatabase } from "../support/database.ts";

const app = sharedApp();

const WRITES = [
  "insert into used_tickets (id, expires_at) values (gen_random_uuid(), now())",
  "delete from used_tickets",
  "with deleted as (delete from used_tickets returning 1) select count(*) from deleted",
  "select from sequencer for update",
  "select nextval('acknowledgements')",
];

async function refusesWrites(reader: Reader): Promise<void> {
  for (const text of WRITES) {
    const refused = (error: unknown) => error instanceof SqlError && error.code === "25006";
    await assert.rejects(reader.query(text), refused, text);
    await assert.rejects(reader.query(text, [], `test.${WRITES.indexOf(text)}`), refused, `${text}, prepared`);
  }
}

Deno.test("In the database of a test, query cannot write and execute can", async () => {
  await using sql = await openTestDatabase();
  await refusesWrites(sql);
  for (const text of WRITES) await sql.execute(text);
  assert.deepEqual(await sql.query("select from used_tickets"), []);
});

Deno.test("In a node that a test starts, query cannot write", async () => {
  await refusesWrites(app.ctx.sql);
  await app.ctx.sql.execute("delete from used_tickets where false");
});

/** Never called, only compiled. */
export async function doesNotCompile(reader: Reader, writer: Writer, sql: Sql): Promise<void> {
  // @ts-expect-error: a Reader cannot write
  await reader.execute("delete from used_tickets");
  // @ts-expect-error: a Writer cannot query
  await ping(writer);
  await ping(sql);
}
