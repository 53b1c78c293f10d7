/** Which node may take which partition. */
import assert from "node:assert/strict";
import pg from "../../db/pg.ts";
import { leave, readDirectory, renewLease } from "../../db/nodes.ts";
import { type Grant, PARTITIONS, releasePartitions, takePartitions } from "../../db/partitions.ts";
import { connectPostgres } from "../../db/postgres.ts";
import type { Sql } from "../../db/sql.ts";
import { newId } from "../../lib/ids.ts";
import { freshDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

/** One for the file. */
let url: string;
let sql: Sql;
Deno.test.beforeAll(async () => {
  url = await freshDatabase();
  sql = connectPostgres(url, { max: 6, applicationName: "test", checkReads: true });
});
Deno.test.afterAll(async () => await sql[Symbol.asyncDispose]());
Deno.test.beforeEach(() => sql.script("delete from nodes; update partitions set node = null, epoch = 1"));

const ALL = Array.from({ length: PARTITIONS }, (_, partition) => partition);
const at = (epoch: number, partitions: readonly number[]): Grant[] =>
  partitions.map((partition) => ({ partition, epoch }));

async function node(leaseMs = 60_000, id = newId()): Promise<string> {
  await renewLease(sql, { id, leaseMs, acknowledged: 0, url: null, actors: true });
  return id;
}

const take = async (id: string, grants: readonly Grant[]) =>
  (await takePartitions(sql, id, grants)).toSorted((a, b) => a.partition - b.partition);

async function ownerOf(partition: number): Promise<{ epoch: number; node: string | null }> {
  return (await readDirectory(sql)).owners[partition]!;
}

Deno.test("Free partitions are taken, each under the next epoch", async () => {
  const id = await node();
  assert.deepEqual(await take(id, at(1, [3, 5])), at(2, [3, 5]));
  assert.deepEqual(await ownerOf(3), { epoch: 2, node: id });
  assert.deepEqual(await ownerOf(4), { epoch: 1, node: null });
});

Deno.test("A node takes its own partitions again under new epochs", async () => {
  const id = await node();
  await take(id, at(1, [3]));
  assert.deepEqual(await take(id, at(2, [3])), at(3, [3]));
});

Deno.test("Nobody takes a partition of a node whose lease is in force", async () => {
  const [owner, other] = [await node(), await node()];
  await take(owner, at(1, [3]));
  assert.deepEqual(await take(other, at(2, [3])), []);
  assert.deepEqual(await ownerOf(3), { epoch: 2, node: owner });
});

Deno.test("A partition of a node whose lease is over, or which left, is taken", async () => {
  const [dead, gone, other] = [await node(), await node(), await node()];
  await take(dead, at(1, [3]));
  await take(gone, at(1, [4]));
  await node(-1, dead);
  await leave(sql, gone);
  assert.deepEqual(await take(other, at(2, [3, 4])), at(3, [3, 4]));
});

Deno.test("A node without a lease in force takes nothing", async () => {
  const [dead, unknown] = [await node(-1), newId()];
  assert.deepEqual(await take(dead, at(1, ALL)), []);
  assert.deepEqual(await take(unknown, at(1, ALL)), []);
});

Deno.test("A node that knows an epoch out of date takes nothing", async () => {
  const [first, second] = [await node(), await node()];
  await take(first, at(1, [3]));
  await releasePartitions(sql, first, at(2, [3]));
  assert.deepEqual(await take(second, at(1, [3])), []);
  assert.deepEqual(await take(second, at(2, [3, 4])), at(3, [3]));
});

Deno.test("A partition is released by its owner under its epoch only", async () => {
  const [owner, other] = [await node(), await node()];
  await take(owner, at(1, [3, 4]));
  await releasePartitions(sql, other, at(2, [3]));
  await releasePartitions(sql, owner, at(1, [3]));
  assert.equal((await ownerOf(3)).node, owner);
  await releasePartitions(sql, owner, at(2, [3]));
  assert.deepEqual(await ownerOf(3), { epoch: 2, node: null });
  assert.equal((await ownerOf(4)).node, owner);
});

Deno.test("Of nodes that take at the same time, each partition goes to one", async () => {
  const nodes = await Promise.all([node(), node(), node(), node()]);
  for (let epoch = 1; epoch <= 5; epoch++) {
    const wanted = at(epoch, ALL);
    const taken = await Promise.all(nodes.map((id, i) => take(id, i % 2 === 0 ? wanted : wanted.toReversed())));
    assert.deepEqual(taken.flat().map(({ partition }) => partition).toSorted((a, b) => a - b), ALL);
    const { owners } = await readDirectory(sql);
    for (const [i, grants] of taken.entries()) {
      for (const { partition } of grants) assert.equal(owners[partition]!.node, nodes[i]);
      await releasePartitions(sql, nodes[i]!, grants);
    }
  }
});

Deno.test("Taking waits for statements in progress under the old epoch", async () => {
  const [dead, other] = [await node(), await node()];
  await take(dead, at(1, [3]));
  await node(-1, dead);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("begin");
    await client.query("select from partitions where id = 3 and epoch = 2 for share");
    let isTaken = false;
    const taking = take(other, at(2, [3])).finally(() => isTaken = true);
    await until("it waits for a lock", async () => {
      const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
      return (await sql.query(waiting)).length > 0;
    });
    assert.equal(isTaken, false);
    await client.query("commit");
    assert.deepEqual(await taking, at(3, [3]));
  } finally {
    await client.end();
  }
});

Deno.test("A node that renews its lease while its partition is taken keeps it or loses it, never both", async () => {
  const [owner, other] = [await node(), await node()];
  await take(owner, at(1, [3]));
  let epoch = 2;
  for (let i = 0; i < 30; i++) {
    await node(-1, owner);
    const [[taken]] = await Promise.all([take(other, at(epoch, [3])), node(60_000, owner)]);
    const { node: now } = await ownerOf(3);
    assert.equal(now, taken ? other : owner);
    if (!taken) continue;
    await releasePartitions(sql, other, [taken]);
    [{ epoch }] = await take(owner, [taken]) as [Grant];
  }
});
