import assert from "node:assert/strict";
import type { Command, Ref } from "../../actors/runtime/protocol.ts";
import { partitionOf } from "../../db/partitions.ts";
import { FakePool, posted } from "../support/fake_threads.ts";
import { NodeWorld } from "../support/node_world.ts";

const ID = "01890000-0000-7000-8000-00000000000a";
const WRONG = [ID.toUpperCase(), `{${ID}}`, ID.replaceAll("-", ""), `${ID} `, "ada", ""];
const command: Command = { type: "x" };

Deno.test("The pool rejects an id that is not in canonical form before any worker", async () => {
  await using world = await FakePool.start();
  const { pool } = world;
  pool.grant([{ partition: partitionOf(ID), epoch: 1 }]);
  void pool.ask({ kind: "user", id: ID }, command).catch(() => {});
  for (const id of WRONG) {
    const ref: Ref = { kind: "user", id };
    await assert.rejects(pool.ask(ref, command), /Expected a UUID in lower case/, id);
  }
  await posted();
  assert.deepEqual(world.threads[0]!.calls.map(({ ref }) => ref.id), [ID]);
});

Deno.test("A node rejects such an id before it asks another", async () => {
  await using world = new NodeWorld(() => assert.fail("the other node was asked"));
  for (const id of WRONG) {
    await assert.rejects(world.placed.ask({ kind: "page", id }, command), /Expected a UUID in lower case/, id);
  }
  assert.equal(world.arrived.length, 0);
});
