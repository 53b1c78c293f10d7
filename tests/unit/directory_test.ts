import assert from "node:assert/strict";
import { Directory } from "../../actors/runtime/directory.ts";
import type { NodeRow } from "../../db/nodes.ts";
import { PARTITIONS } from "../../db/partitions.ts";
import { directoryRow } from "../support/directories.ts";

/** What Postgres said at 1,000 ms of this node's clock, which the test moves. */
function directoryOf(nodes: Record<string, Partial<NodeRow>>, owner?: (partition: number) => string | null) {
  const clock = { now: 1_000 };
  const directory = new Directory(() => clock.now);
  directory.update(directoryRow(nodes, owner));
  return { clock, directory };
}

const ids = (nodes: { id: string }[]) => nodes.map(({ id }) => id);

Deno.test("A node's lease ends by this node's clock, as long after the answer as Postgres said", () => {
  const { clock, directory } = directoryOf({ a: { left_ms: 500 }, b: { left_ms: 0 }, c: { left_ms: -1 } }, () => "a");
  assert.deepEqual(["a", "b", "c", "unknown"].map((id) => directory.isLive(id)), [true, false, false, false]);
  assert.equal(directory.ownerOf(7)?.id, "a");
  clock.now = 1_500;
  assert.equal(directory.isLive("a"), false);
  assert.equal(directory.ownerOf(7), undefined);
});

Deno.test("Partitions without an owner, and those of nodes without a lease, are free", () => {
  const owner = (partition: number) => partition === 3 ? null : ["live", "dead", "gone"][partition] ?? "live";
  const { directory } = directoryOf({ live: {}, dead: { left_ms: -1 } }, owner);
  assert.deepEqual(directory.free, [1, 2, 3].map((partition) => ({ partition, epoch: 1 })));
  assert.deepEqual(directory.ownedBy("dead"), [{ partition: 1, epoch: 1 }]);
  assert.deepEqual([0, 1, 2, 3].map((partition) => directory.ownerOf(partition)?.id), [
    "live",
    ...[undefined, undefined, undefined],
  ]);
});

Deno.test("Only nodes with a lease that take partitions have a share", () => {
  const { directory } = directoryOf(
    { a: {}, b: {}, without: { actors: false }, dead: { left_ms: -1 } },
    (partition) => partition === 0 ? "b" : "a",
  );
  assert.deepEqual(directory.shares, [{ id: "b", partitions: 1 }, { id: "a", partitions: PARTITIONS - 1 }]);
  assert.deepEqual(ids(directory.owners), ["a", "b"]);
  assert.deepEqual(ids(directory.nodes), ["a", "b", "without", "dead"]);
});

Deno.test("An update replaces everything known before", () => {
  const { directory } = directoryOf({ a: {} }, () => "a");
  directory.update(directoryRow({ b: {} }, () => "b"));
  assert.deepEqual([directory.isLive("a"), directory.ownerOf(0)?.id], [false, "b"]);
});

Deno.test("The clock of the database goes on between updates", () => {
  const { clock, directory } = directoryOf({});
  const { databaseTime } = directory;
  assert.ok(Math.abs(databaseTime - Date.now()) < 5_000);
  clock.now += 250;
  assert.equal(directory.databaseTime, databaseTime + 250);
});

Deno.test("A wait for an update ends at the next one, or after its time", async () => {
  const { directory } = directoryOf({});
  let isTold = false;
  const waiting = directory.updated(5_000).then(() => isTold = true);
  await Promise.resolve();
  assert.equal(isTold, false);
  directory.update(directoryRow({}));
  await waiting;
  const start = performance.now();
  await directory.updated(30);
  const took = performance.now() - start;
  assert.ok(took >= 25 && took < 1_000, `${took} ms`);
});

Deno.test("A listener is called at each update until it ends", () => {
  const { directory } = directoryOf({});
  let calls = 0;
  const end = directory.onUpdate(() => {
    calls++;
    if (calls === 2) end();
  });
  for (let i = 0; i < 4; i++) directory.update(directoryRow({}));
  assert.equal(calls, 2);
});
