import assert from "node:assert/strict";
import { blockWorkload } from "../support/block_workload.ts";
import { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { seededTest } from "../support/seeded.ts";

const ROUNDS = 14;

seededTest(
  "During posting no listener receives anything of a page while it is blocked",
  async (random) => {
    await using node = await NodeProcess.start();
    const admin = await administrator(node);
    const [ann, carl, mark, ...readers] = await makePeople(node, 6) as [Person, Person, Person, ...Person[]];
    await blockWorkload(random, { admin, ann, carl, mark, readers, sql: node.sql, rounds: ROUNDS });
    assert.equal((await readers[0]!.call("GET", "/feed")).status, 200);
  },
);
