import assert from "node:assert/strict";
import { vacuum } from "../../db/maintenance.ts";
import { openTestDatabase } from "../support/pglite.ts";

Deno.test({
  name: "The embedded database is vacuumed and knows how large its tables are",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using sql = await openTestDatabase();
    for (let i = 0; i < 200; i++) await sql.query("update sequencer set floor = floor + 1");
    const size = async () => (await sql.query<{ n: number }>("select pg_relation_size('sequencer') as n"))[0]!.n;
    await vacuum(sql);
    const [row] = await sql.query<{ n: number }>(
      "select reltuples::int as n from pg_class where relname = 'partitions'",
    );
    assert.equal(row?.n, 64);
    const before = await size();
    for (let i = 0; i < 200; i++) await sql.query("update sequencer set floor = floor + 1");
    assert.equal(await size(), before, "the room of dead rows is used again");
  },
});
