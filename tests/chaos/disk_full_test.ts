/**
 * A full disk: writes are rejected with the reason, no acknowledged write is lost, and the node recovers when there is
 * space.
 */
import assert from "node:assert/strict";
import type { Answer } from "../support/api.ts";
import { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { smallDisk, takeRoom } from "../support/small_disk.ts";
import { until } from "../support/wait.ts";

const CI = Deno.env.get("CI") === "true";
/** Mounting needs root, which runs the tests in CI. */
const options = { ignore: Deno.uid() !== 0 && !CI, sanitizeOps: false, sanitizeResources: false };
const SIZE = "140m";

Deno.test(
  "With a full disk a node rejects writes with 503, and recovers when there is space",
  options,
  async () => {
    await using disk = await smallDisk(SIZE);
    await using node = await NodeProcess.on({ path: disk.path, [Symbol.asyncDispose]: async () => {} }, {});
    const [ada] = await makePeople(node, 1) as [Person];
    const stored = new Set<string>();
    const refused: Answer[] = [];
    const post = async () => {
      const answer = await ada.call("POST", `/pages/${ada.page_id}/posts`, { text: "a long post ".repeat(300) });
      if (answer.status === 201) stored.add(answer.body.id);
      else refused.push(answer);
      return answer.status;
    };
    assert.equal(await post(), 201);
    await takeRoom(`${disk.path}/filler`);
    // Writes into existing space of files still succeed.
    await until("a post is refused", async () => await post() !== 201);
    for (let i = 0; i < 20; i++) await post();
    for (const { status, headers, body } of refused) {
      assert.deepEqual([status, body.type.split("/").at(-1)], [503, "disk-full"], JSON.stringify(body));
      assert.ok(Number(headers.get("retry-after")) > 0);
    }
    assert.match(node.output, /"level":"error","message":"disk full, writes are refused"/);
    assert.equal((await ada.call("GET", "/feed")).status, 200, "reads still succeed");

    await Deno.remove(`${disk.path}/filler`);
    await until("posts are accepted again", async () => await post() === 201);
    const rows = await node.sql.query<{ id: string }>("select id from posts");
    assert.deepEqual(new Set(rows.map(({ id }) => id)), stored);
  },
);
