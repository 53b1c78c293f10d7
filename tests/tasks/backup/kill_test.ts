/** A backup and a restore that are killed while they run. */
import assert from "node:assert/strict";
import { connectPostgres } from "../../../db/postgres.ts";
import { finishRestore, putInPlace, restoringFolder } from "../../../db/restored_data.ts";
import type { Sql } from "../../../db/sql.ts";
import { sleep } from "../../../lib/sleep.ts";
import { DRIVERS, emptyPlace, nodeIn, type Place } from "../../support/backup_world.ts";
import { emptyFolder, SECRET_KEY } from "../../support/node_process.ts";
import { makePeople, type Person } from "../../support/person.ts";
import { openDataDir } from "../../support/database.ts";

import { TaskProcess } from "../../support/task_process.ts";
import { until } from "../../support/wait.ts";

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

async function open({ path, env }: Place): Promise<Sql> {
  const url = env["DATABASE_URL"];
  return url === undefined ? await openDataDir(path) : connectPostgres(url, { max: 1, applicationName: "test" });
}

/** The accounts in a place without a running server. */
async function logins(place: Place): Promise<string[]> {
  await using sql = await open(place);
  return (await sql.query<{ login: string }>("select login from users order by login")).map(({ login }) => login);
}

async function epochsOf(place: Place): Promise<number[]> {
  await using sql = await open(place);
  return (await sql.query<{ epoch: number }>("select epoch from partitions order by id")).map(({ epoch }) => epoch);
}

/** Starts a task and kills it some milliseconds after it prints this. */
async function killed(
  name: string,
  args: string[],
  env: Record<string, string>,
  said: RegExp,
  afterMs: number,
): Promise<string> {
  const task = new TaskProcess(name, args, env);
  await task.says(said);
  await sleep(afterMs);
  await task[Symbol.asyncDispose]();
  return task.output;
}

for (const driver of DRIVERS) {
  Deno.test(`${driver}: a killed restore leaves the old state, and the next one completes`, async () => {
    await using folder = await emptyFolder();
    await using place = await emptyPlace(driver);
    const backup = `${folder.path}/backup`;
    const env = { ...place.env, DATA_DIR: place.path, SECRET_KEY };
    {
      await using node = await nodeIn(place);
      await makePeople(node, 1, "early");
      // Enough rows for a slow load.
      await node.sql.execute(
        `insert into letters (id, message_id, sender, recipient, subject, text)
        select gen_random_uuid(), i::text, 'a', 'b', 'c', repeat(md5(i::text), 30) from generate_series(1, 30000) i`,
      );
      await TaskProcess.done("backup", [backup], node.settings);
      await makePeople(node, 1, "late");
      const refused = await TaskProcess.run("restore", [backup, "--replace"], env);
      assert.deepEqual([refused.code, /running/.test(refused.output)], [1, true], refused.output);
      await node.stop();
    }
    const epochs = await epochsOf(place);
    const before = ["admin", "early0", "late0"];
    assert.deepEqual(await logins(place), before);
    for (const afterMs of [0, 300]) {
      const output = await killed("restore", [backup, "--replace"], env, /^Tables: \d+ to do/m, afterMs);
      assert.ok(!output.includes("The installation is"), "it ended before it was killed");
      await until("its connection is closed", async () => (await logins(place).catch(() => [])).length > 0);
      assert.deepEqual(await logins(place), before);
    }
    await TaskProcess.done("restore", [backup, "--replace"], env);
    assert.deepEqual(await logins(place), ["admin", "early0"]);
    assert.ok(!await exists(restoringFolder(place.path)));
    // Files of a deleted embedded database have no owner.
    if (driver === "full") {
      assert.ok((await epochsOf(place)).every((epoch, i) => epoch > epochs[i]!), "an epoch is repeated");
    }
    await using node = await nodeIn(place);
    const [ann] = await makePeople(node, 1) as [Person];
    await ann.post("after the restore");
  });

  Deno.test(`${driver}: a killed backup has no final name, and the next one removes it`, async () => {
    await using folder = await emptyFolder();
    await using place = await emptyPlace(driver);
    await using node = await nodeIn(place);
    await node.sql.execute(
      `insert into letters (id, message_id, sender, recipient, subject, text)
      select gen_random_uuid(), i::text, 'a', 'b', 'c', repeat(md5(i::text), 30) from generate_series(1, 30000) i`,
    );
    const backup = `${folder.path}/backup`;
    await killed("backup", [backup], { ...node.settings }, /^Tables: \d+ to do/m, 0);
    assert.ok(!await exists(backup) && await exists(`${backup}.partial`));
    await TaskProcess.done("backup", [backup], node.settings);
    assert.ok(await exists(`${backup}/manifest.json`) && !await exists(`${backup}.partial`));
    assert.ok(!await exists(`${backup}/.lock`));
    await TaskProcess.done("backup", [`${backup}2`], node.settings);
    if (driver === "embedded") {
      const names = [...Deno.readDirSync(`${place.path}/postgres`)].map(({ name }) => name);
      assert.deepEqual(names.filter((name) => name.includes("rookery")), []);
    }
  });
}

Deno.test("A committed restore killed at any step is finished by the next process on the data folder", async () => {
  const make = async (path: string, name: string) => {
    await Deno.mkdir(`${path}/postgres`, { recursive: true });
    await Deno.writeTextFile(`${path}/postgres/of`, name);
    await Deno.writeTextFile(`${path}/secret.key`, name);
  };
  const names = async (
    path: string,
  ) => [await Deno.readTextFile(`${path}/postgres/of`), await Deno.readTextFile(`${path}/secret.key`)];
  // The steps: the key in place, the old database removed, the new one in place.
  const steps: ((path: string) => Promise<void>)[] = [
    (path) => Deno.rename(`${path}/restored/secret.key`, `${path}/secret.key`),
    (path) => Deno.remove(`${path}/postgres`, { recursive: true }),
    (path) => Deno.rename(`${path}/restored/postgres`, `${path}/postgres`),
  ];
  for (let killedAfter = 0; killedAfter <= steps.length; killedAfter++) {
    await using folder = await emptyFolder();
    await make(folder.path, "old");
    await make(`${folder.path}/restored`, "new");
    for (const step of steps.slice(0, killedAfter)) await step(folder.path);
    await finishRestore(folder.path);
    assert.deepEqual(await names(folder.path), ["new", "new"], `killed after ${killedAfter} steps`);
    assert.ok(!await exists(`${folder.path}/restored`));
  }
  // An upgrade keeps the old database: killed at the start, after it was moved, after the new one is in place.
  const upgradeSteps: ((path: string) => Promise<void>)[] = [
    (path) => Deno.rename(`${path}/postgres`, `${path}/postgres-17`),
    (path) => Deno.rename(`${path}/restored/postgres`, `${path}/postgres`),
  ];
  for (let killedAfter = 0; killedAfter <= upgradeSteps.length; killedAfter++) {
    await using folder = await emptyFolder();
    await make(folder.path, "old");
    await make(`${folder.path}/restored`, "new");
    await Deno.remove(`${folder.path}/restored/secret.key`);
    await Deno.writeTextFile(`${folder.path}/restored/keep_as`, "postgres-17");
    for (const step of upgradeSteps.slice(0, killedAfter)) await step(folder.path);
    await finishRestore(folder.path);
    assert.deepEqual(await names(folder.path), ["new", "old"], `an upgrade killed after ${killedAfter} steps`);
    assert.equal(await Deno.readTextFile(`${folder.path}/postgres-17/of`), "old");
  }
  await using folder = await emptyFolder();
  await make(folder.path, "old");
  await make(restoringFolder(folder.path), "new");
  await finishRestore(folder.path);
  assert.deepEqual(await names(folder.path), ["old", "old"], "an uncommitted restore took effect");
  await make(restoringFolder(folder.path), "new");
  await putInPlace(folder.path);
  assert.deepEqual(await names(folder.path), ["new", "new"]);
});
