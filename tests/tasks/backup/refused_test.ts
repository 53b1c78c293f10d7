/** Backups that a restore rejects before it changes anything, and the state that it replaces. */
import assert from "node:assert/strict";
import { migrate } from "../../../db/migrate.ts";
import { openDataDir } from "../../support/database.ts";
import { checkBackup } from "../../../tasks/backup/check.ts";
import type { Manifest } from "../../../tasks/backup/manifest.ts";
import { restoreBackup } from "../../../tasks/backup/restore.ts";
import type { Watcher } from "../../../tasks/backup/write.ts";
import { readConfig } from "../../../config.ts";
import { nodeIn } from "../../support/backup_world.ts";
import { emptyFolder, NodeProcess } from "../../support/node_process.ts";
import { makePeople, type Person } from "../../support/person.ts";
import { pngOf } from "../../support/pictures.ts";
import { TaskProcess } from "../../support/task_process.ts";

/** Every file below a folder, with its bytes. */
async function contentOf(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) {
      for (const [path, hex] of await contentOf(`${folder}/${name}`)) found.set(`${name}/${path}`, hex);
    } else if (name !== "lock") found.set(name, (await Deno.readFile(`${folder}/${name}`)).toHex());
  }
  return found;
}

async function changed(path: string, change: (bytes: Uint8Array) => void): Promise<void> {
  const bytes = await Deno.readFile(path);
  change(bytes);
  await Deno.writeFile(path, bytes);
}

async function manifestOf(backup: string, change: (manifest: Manifest) => void): Promise<void> {
  const manifest = JSON.parse(await Deno.readTextFile(`${backup}/manifest.json`)) as Manifest;
  change(manifest);
  await Deno.writeTextFile(`${backup}/manifest.json`, JSON.stringify(manifest));
}

async function inside(dataDir: string, script: string): Promise<void> {
  await using database = await openDataDir(dataDir);
  await database.script(script);
}

/** What can be wrong with a backup that has a file of this name: the reason of its refusal, and how to cause it. */
function damagesOf(file: string): [why: RegExp, damage: (copy: string) => Promise<void>][] {
  return [
    [
      /"tables\/users.copy.gz" is damaged/,
      (copy) => changed(`${copy}/tables/users.copy.gz`, (b) => b[b.length >> 1]! ^= 1),
    ],
    [/lacks "tables\/follows.copy.gz"/, (copy) => Deno.remove(`${copy}/tables/follows.copy.gz`)],
    [/"files\/.*" is damaged/, (copy) => changed(`${copy}/files/${file}`, (b) => b[9]! ^= 1)],
    [/lacks "files\//, (copy) => Deno.remove(`${copy}/files/${file}`)],
    [/"files.sha256" is damaged/, (copy) => Deno.truncate(`${copy}/files.sha256`)],
    [/no manifest.json/, (copy) => Deno.remove(`${copy}/manifest.json`)],
    [/manifest.json" is damaged/, (copy) => Deno.truncate(`${copy}/manifest.json`, 100)],
    [
      /which this program does not know: it is older/,
      (copy) => manifestOf(copy, ({ migrations }) => migrations.push({ number: 9_999, name: "9999_later.sql" })),
    ],
    [/newer version/, (copy) => manifestOf(copy, (manifest) => (manifest as { format: number }).format = 2)],
    [
      /is damaged: tables/,
      (copy) => manifestOf(copy, ({ tables }) => tables["users; drop table users"] = tables["users"]!),
    ],
    [/lacks the table "likes"/, (copy) => manifestOf(copy, ({ tables }) => delete tables["likes"])],
  ];
}

/** Checks that each kind of damage is refused and that the refusals change nothing. */
async function refusesDamage(node: NodeProcess, backup: string, copy: string): Promise<void> {
  const [file] = [...Deno.readDirSync(`${backup}/files`)];
  const config = readConfig(node.settings);
  const nobody: Watcher = { begin: () => {}, step: () => {}, end: () => {} };
  const before = await contentOf(node.dataDir);
  for (const [why, damage] of damagesOf(file!.name)) {
    await new Deno.Command("cp", { args: ["-R", backup, copy] }).output();
    await damage(copy);
    await assert.rejects(
      checkBackup(config, copy, nobody).then((checked) => restoreBackup(config, checked, true, nobody)),
      why,
    );
    await Deno.remove(copy, { recursive: true });
  }
  assert.deepEqual(await contentOf(node.dataDir), before, "a rejected restore has changed the data folder");
}

Deno.test("Invalid and newer backups, a running server and existing accounts are rejected", async () => {
  await using place = await emptyFolder();
  const backup = `${place.path}/backup`;
  await using node = await NodeProcess.start({ full: false });
  const [ann] = await makePeople(node, 1) as [Person];
  const photo = { name: "a.png", data: (await pngOf(40, 20)).toBase64() };
  await ann.post("with a photo", { photos: [photo] });
  await TaskProcess.done("backup", [backup], node.settings);
  const exists = await TaskProcess.run("backup", [backup], node.settings);
  assert.deepEqual([exists.code, /exists already/.test(exists.output)], [1, true], exists.output);

  const running = await TaskProcess.run("restore", [backup, "--replace"], node.settings);
  assert.deepEqual([running.code, /is running/.test(running.output)], [1, true], running.output);
  await node.stop();

  await refusesDamage(node, backup, `${place.path}/copy`);
  const damaged = await TaskProcess.run("restore", [place.path, "--replace"], node.settings);
  assert.deepEqual([damaged.code, /The restore failed: There is no/.test(damaged.output)], [1, true], damaged.output);
  const full = await TaskProcess.run("restore", [backup], node.settings);
  assert.deepEqual([full.code, /accounts already/.test(full.output)], [1, true], full.output);
  const wrong = { ...node.settings, SECRET_KEY: "another secret key, 32 characters or more" };
  const sealed = await TaskProcess.run("restore", [backup, "--replace"], wrong);
  assert.deepEqual([sealed.code, /SECRET_KEY does not decrypt/.test(sealed.output)], [1, true], sealed.output);
  for (const args of [[], [backup, backup], [backup, "--force"]]) {
    assert.equal((await TaskProcess.run("restore", args, node.settings)).code, 2);
  }

  await node.restart();
  await ann.signIn();
  const later = (await makePeople(node, 1, "later"))[0]!;
  await node.stop();
  await TaskProcess.done("restore", [backup, "--replace"], node.settings);
  await node.restart();
  await ann.signIn();
  await assert.rejects(later.signIn(), /401|credentials/);
});

Deno.test("An installation with its own key is restored with it, readable by its owner only", async () => {
  await using place = await emptyFolder();
  const backup = `${place.path}/backup`;
  await using source = { ...await emptyFolder(), env: { SECRET_KEY: "" } };
  await using target = { ...await emptyFolder(), env: { SECRET_KEY: "" } };
  await using node = await nodeIn(source);
  assert.match(await TaskProcess.done("backup", [backup], node.settings), /protect it as you protect a key/);
  for (const path of [backup, `${backup}/tables`]) assert.equal(Deno.statSync(path).mode! & 0o777, 0o700, path);
  for (const path of ["manifest.json", "secret.key", "files.sha256", "tables/users.copy.gz"]) {
    assert.equal(Deno.statSync(`${backup}/${path}`).mode! & 0o777, 0o600, path);
  }
  await TaskProcess.done("restore", [backup], { DATA_DIR: target.path, SECRET_KEY: "" });
  assert.equal(Deno.statSync(`${target.path}/secret.key`).mode! & 0o777, 0o600);
  await using restored = await nodeIn(target);
  const [ann] = await makePeople(restored, 1) as [Person];
  assert.equal((await ann.call("GET", "/users/me")).status, 200);
});

Deno.test("A backup of an older version is migrated", async () => {
  await using source = await emptyFolder();
  await using target = await emptyFolder();
  await using place = await emptyFolder();
  const backup = `${place.path}/backup`;
  const [user, page, post] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  {
    await using old = await openDataDir(source.path);
    await migrate(old, undefined, 5);
    await old.script(`
      insert into users (id, login, password_hash, first_name, last_name, email, page_id, created_at)
      values ('${user}', 'olga', '', 'Olga', 'Old', 'olga@example.com', '${page}', now());
      insert into pages (id, owner_id, is_personal, uuid, name, post_count, created_at)
      values ('${page}', '${user}', true, 'olga', 'Olga Old', 1, now());
      insert into posts (id, page_id, text, published_at, created_at, updated_at)
        values ('${post}', '${page}', 'old', now(), now(), now())`);
  }
  const env = { SECRET_KEY: "the secret key of an old one, 32 characters" };
  await inside(source.path, "create table strange (one int)");
  const strange = await TaskProcess.run("backup", [backup], { ...env, DATA_DIR: source.path });
  assert.deepEqual(
    [strange.code, /tables that are not Rookery's: strange/.test(strange.output)],
    [1, true],
    strange.output,
  );
  await inside(source.path, "drop table strange");
  await TaskProcess.done("backup", [backup], { ...env, DATA_DIR: source.path });
  await TaskProcess.done("restore", [backup], { ...env, DATA_DIR: target.path });
  await using restored = await openDataDir(target.path);
  const [row] = await restored.query(
    `select (select count(*) from posts) as posts, (select count(*) from page_days) as days,
      (select count(*) from page_search) as found,
      (select count(*) from migrations) as migrations`,
  );
  const known = [...Deno.readDirSync(new URL("../../../db/migrations/", import.meta.url))].length;
  assert.deepEqual(row, { posts: 1, days: 1, found: 1, migrations: known });
});
