/** Tasks on an unusable data folder print the same advice as a start, and end with 2. */
import assert from "node:assert/strict";
import { emptyFolder } from "../support/node_process.ts";
import { TaskProcess } from "../support/task_process.ts";

const TASKS: Record<string, string[]> = {
  admin: ["list"],
  backup: [],
  jobs: [],
  keys: ["list"],
  migrate: [],
  moderation_verify: [],
  stats_rebuild: [],
  storage_scrub: [],
};

Deno.test("A task on a folder of an older Postgres names the command that upgrades it", async () => {
  await using folder = await emptyFolder();
  await Deno.mkdir(`${folder.path}/postgres`, { mode: 0o700 });
  await Deno.writeTextFile(`${folder.path}/postgres/PG_VERSION`, "17\n");
  await Deno.writeFile(`${folder.path}/secret.key`, crypto.getRandomValues(new Uint8Array(32)), { mode: 0o600 });
  for (const [name, args] of Object.entries(TASKS)) {
    const more = name === "backup" ? [`${folder.path}/backup`] : args;
    const { code, output } = await TaskProcess.run(name, more, { DATA_DIR: folder.path });
    assert.deepEqual(
      [code, /run "deno task upgrade"/.test(output)],
      [2, true],
      `${name} ended with ${code}: ${output}`,
    );
    assert.doesNotMatch(output, /^ +at /m, "no stack");
  }
});
