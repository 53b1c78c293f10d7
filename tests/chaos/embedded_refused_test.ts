/** Starts that the embedded default rejects: each ends with 2, prints advice, and does not change the folder. */
import assert from "node:assert/strict";
import { freshDataDir, openDataDir } from "../support/database.ts";
import { postgresOf, serverOf } from "../support/embedded_server.ts";
import { emptyFolder, NodeProcess, runToEnd } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { mounted, run } from "../support/small_disk.ts";

import { TaskProcess } from "../support/task_process.ts";
import { until } from "../support/wait.ts";

const isRoot = Deno.uid() === 0;
const options = { ignore: Deno.build.os !== "linux", sanitizeOps: false, sanitizeResources: false };
/** Mounting and changing owners need root. */
const asRoot = { ...options, ignore: options.ignore || !isRoot };

interface Refusal {
  /** Changes the folder so that it is rejected. */
  change: (path: string) => Promise<void>;
  message: RegExp;
  ignore?: boolean;
}

const REFUSALS: Record<string, Refusal> = {
  "of an older major version": {
    change: (path) => Deno.writeTextFile(`${path}/postgres/PG_VERSION`, "17\n"),
    message: /has Postgres 17, and this version of Rookery needs 18; run "deno task upgrade"/,
  },
  "of a newer major version": {
    change: (path) => Deno.writeTextFile(`${path}/postgres/PG_VERSION`, "19\n"),
    message: /is of Postgres 19, and this version of Rookery supports 18; install a newer version of Rookery/,
  },
  "that PGlite made": {
    change: (path) => changeByte(`${path}/postgres/global/pg_control`, 0xf8, 0),
    message: /was created by PGlite.*CHANGELOG\.md describes/,
  },
  "that has no database": {
    change: (path) => Deno.remove(`${path}/postgres/PG_VERSION`),
    message: /The folder ".*" is no database; move it away, or set DATA_DIR to another/,
  },
  "that others may enter": {
    change: (path) => Deno.chmod(`${path}/postgres`, 0o755),
    message: /Postgres refuses ".*", as other users may enter it; run: chmod 0700 /,
  },
  "that is root's": {
    change: (path) => run("chown", "-R", "root", `${path}/postgres`),
    message: /belongs to root, which Postgres refuses; change its owner with: chown -R nobody /,
    ignore: !isRoot,
  },
};

for (const [what, { change, message, ignore = false }] of Object.entries(REFUSALS)) {
  Deno.test(`A folder ${what} is refused`, { ...options, ignore: options.ignore || ignore }, async () => {
    await using folder = await freshDataDir();
    await change(folder.path);
    // Rookery's own files are not part of the database.
    const before = await listing(`${folder.path}/postgres`);
    const ended = await runToEnd(folder.path);
    assertRefused(ended, message);
    assert.deepEqual(await listing(`${folder.path}/postgres`), before);
    const names = [...Deno.readDirSync(folder.path)].map(({ name }) => name);
    assert.deepEqual(names.toSorted(), ["lock", "postgres"]);
  });
}

Deno.test("A second Rookery on a folder is refused with the process id of the first", options, async () => {
  await using node = await NodeProcess.start({ full: false });
  const [ada] = await makePeople(node, 1) as [Person];
  const { postmaster } = await serverOf(node.dataDir);
  const ended = await runToEnd(node.dataDir);
  assertRefused(
    ended,
    new RegExp(`"${node.dataDir}" is in use by process ${node.pid}; stop that one, or set DATA_DIR`),
  );
  assert.equal((await serverOf(node.dataDir)).postmaster, postmaster);
  await ada.post("the first one still works");
  // The lock still has the process id of the first.
  assertRefused(await runToEnd(node.dataDir), new RegExp(`is in use by process ${node.pid};`));
});

Deno.test("A task uses the running server, or starts one and prevents another start", options, async () => {
  await using node = await NodeProcess.start({ full: false });
  const { postmaster } = await serverOf(node.dataDir);
  await TaskProcess.done("jobs", [], node.settings);
  assert.equal((await serverOf(node.dataDir)).postmaster, postmaster);
  await node.stop();
  assert.deepEqual(await postgresOf(node.dataDir), []);
  {
    await using _database = await openDataDir(node.dataDir);
    assertRefused(await runToEnd(node.dataDir), new RegExp(`is in use by process ${Deno.pid};`));
    await TaskProcess.done("jobs", [], node.settings);
  }
  assert.deepEqual(await postgresOf(node.dataDir), []);
  await TaskProcess.done("jobs", [], node.settings);
  assert.deepEqual(await postgresOf(node.dataDir), []);
  await node.restart();
});

Deno.test("DATA_DIR that is a file is refused", options, async () => {
  await using folder = await emptyFolder();
  const path = `${folder.path}/file`;
  await Deno.writeTextFile(path, "something");
  for (const dataDir of [path, `${path}/below`]) {
    assertRefused(await runToEnd(dataDir), /is not a folder; set DATA_DIR to a folder/);
  }
  assert.equal(await Deno.readTextFile(path), "something");
});

Deno.test("DATA_DIR on a read-only disk is refused", asRoot, async () => {
  for (const isEmpty of [true, false]) {
    await using folder = isEmpty ? await emptyFolder() : await freshDataDir();
    const before = await listing(folder.path);
    await using disk = await mounted(folder.path, "bind", "--bind");
    await run("mount", "-o", "remount,ro,bind", disk.path);
    assertRefused(await runToEnd(disk.path), /is on a read-only disk; set DATA_DIR to another folder/);
    assert.deepEqual(await listing(folder.path), before);
  }
});

Deno.test("A disk without space for a database is refused and left unchanged", asRoot, async () => {
  await using disk = await mounted("rookery-test", "small", "-t", "tmpfs", "-o", "size=10m,mode=0700");
  assertRefused(await runToEnd(disk.path), /disk of ".*" is full; free some space, or set DATA_DIR/);
  const left = [...Deno.readDirSync(disk.path)].map(({ name }) => name).toSorted();
  assert.deepEqual(left, ["lock", "postgres.lib"]);
  // With space the database is created.
  await run("mount", "-o", "remount,size=300m", disk.path);
  await using node = await NodeProcess.on({ path: disk.path, [Symbol.asyncDispose]: async () => {} }, {});
  await node.stop();
});

Deno.test("A folder with a path too long for a socket works", options, async () => {
  await using folder = await emptyFolder();
  const path = `${folder.path}/${"long".repeat(30)}`;
  await Deno.mkdir(path);
  await using node = await NodeProcess.on({ path, [Symbol.asyncDispose]: async () => {} }, {});
  const [ada] = await makePeople(node, 1) as [Person];
  await ada.post("through a socket in another folder");
  const url = await Deno.readTextFile(`${path}/postgres.url`);
  const elsewhere = new URL(url).searchParams.get("host")!;
  assert.equal((await Deno.stat(elsewhere)).mode! & 0o777, 0o700);
  await TaskProcess.done("jobs", [], node.settings);
  assert.equal((await node.stop()).code, 0);
  await until("the socket's folder is deleted", () => Deno.stat(elsewhere).then(() => false, () => true));
});

function assertRefused({ code, message }: { code: number; message: string }, expected: RegExp): void {
  assert.equal(code, 2, message);
  assert.match(message, expected);
  assert.equal(message.trim().split("\n").length, 1, `the message is one line: ${message}`);
}

/** Each file below a folder, with its time, mode and owner. */
async function listing(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    const { mtime, size, mode, uid, gid, isDirectory } = await Deno.lstat(path);
    found.push([path, mtime?.getTime(), size, mode, uid, gid].join(" "));
    if (isDirectory) found.push(...await listing(path));
  }
  return found.toSorted();
}

async function changeByte(path: string, at: number, byte: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(new Uint8Array([byte]));
}
