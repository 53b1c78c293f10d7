/**
 * Databases for tests, each of its own. They are copies of templates: of one on the run's server for what needs a
 * database only, and of a data folder for what needs the embedded default, server and all.
 */
import { createHash } from "node:crypto";
import pg from "../../db/pg.ts";
import { MAJOR } from "../../db/embedded/cluster.ts";
import { startEmbedded } from "../../db/embedded/server.ts";
import { MAIN, migrate, readMigrations } from "../../db/migrate.ts";
import { connectPostgres } from "../../db/postgres.ts";
import type { Sql } from "../../db/sql.ts";
import { STATS, StatsStore } from "../../services/stats/store.ts";
import { sleep } from "../../lib/sleep.ts";
import { isInBatch } from "./batch.ts";
import { startPostgres } from "./servers.ts";

export interface Wanted {
  /** With all tables, as nearly every test wants it; else empty. */
  migrated?: boolean;
}

let own: Promise<string> | undefined;

/** The server of this run; one of this process's own, where a test file runs by itself. */
export async function testServer(): Promise<string> {
  return Deno.env.get("TEST_POSTGRES_URL") ?? await (own ??= startPostgres({ fsync: false }).then(({ url }) => url));
}

let ahead: Promise<string> | undefined;

/** The address of a database without anybody's data, and with a history of its own. */
export async function freshDatabase({ migrated = true }: Wanted = {}): Promise<string> {
  const server = await testServer();
  if (!migrated) return await copyOf(server, "template0");
  const template = await templateOn(server);
  const ready = ahead ?? migratedCopyOf(server, template);
  // Most files of a batch need one: the next is made while tests use this one.
  if (isInBatch()) (ahead = ready.then(() => migratedCopyOf(server, template))).catch(() => ahead = undefined);
  return await ready;
}

/** Nodes of one history hear each other through NATS; those of different tests must not. */
async function migratedCopyOf(server: string, template: string): Promise<string> {
  const url = await copyOf(server, template);
  await administer(url, "update sequencer set epoch = gen_random_uuid()");
  return url;
}

async function copyOf(server: string, template: string): Promise<string> {
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  // Files are copied, not pages logged: for a small database a third of the time.
  await administer(server, `create database ${name} template ${template} strategy file_copy`);
  return databaseOn(server, name);
}

/** The same, open; closing it removes it. */
export async function openTestDatabase(
  { max = 6, byIndex = false, ...wanted }: Wanted & { max?: number; byIndex?: boolean } = {},
): Promise<Sql> {
  const url = await freshDatabase(wanted);
  const sql = connectPostgres(url, { max, byIndex, applicationName: "test", checkReads: true });
  return {
    query: (text, params, name) => sql.query(text, params, name),
    execute: (text, params, name) => sql.execute(text, params, name),
    script: (text) => sql.script(text),
    async [Symbol.asyncDispose]() {
      await sql[Symbol.asyncDispose]();
      await administer(await testServer(), `drop database ${new URL(url).pathname.slice(1)} with (force)`);
    },
  };
}

export function databaseOn(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

/** A data folder with an embedded database that nobody has open. */
export async function freshDataDir({ migrated = true }: Wanted = {}): Promise<{ path: string } & AsyncDisposable> {
  const template = await folderTemplate(migrated);
  const path = await Deno.makeTempDir({ prefix: "rookery-test-" });
  await copy(template, path);
  return { path, [Symbol.asyncDispose]: () => removeFolder(path) };
}

/** A server that was killed may still be leaving, and remove a file meanwhile. */
export async function removeFolder(path: string): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      const isGone = await Deno.lstat(path).then(() => false, () => true);
      if (isGone) return;
      if (attempt === 150) throw error;
      await sleep(100);
    }
  }
}

/** The embedded database of a data folder, while no Rookery has it; closing it stops its server. */
export async function openDataDir(dataDir: string): Promise<Sql> {
  const server = await startEmbedded(dataDir);
  const sql = connectPostgres(server.url, { max: 2, applicationName: "test", checkReads: true });
  return {
    query: (text, params, name) => sql.query(text, params, name),
    execute: (text, params, name) => sql.execute(text, params, name),
    script: (text) => sql.script(text),
    async [Symbol.asyncDispose]() {
      await sql[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const templates = new Map<string, Promise<string>>();

/** Made once on each server, by the first process that needs it. */
function templateOn(server: string): Promise<string> {
  let template = templates.get(server);
  if (!template) templates.set(server, template = makeTemplate(server));
  return template;
}

async function makeTemplate(server: string): Promise<string> {
  const name = `template_${await hashOfMigrations()}`;
  const client = await connect(server);
  try {
    // One after another; the others find it made.
    await client.query("select pg_advisory_lock(7102)");
    const { rowCount } = await client.query("select from pg_database where datname = $1", [name]);
    if (rowCount) return name;
    await client.query(`drop database if exists ${name}_draft with (force)`);
    await client.query(`create database ${name}_draft`);
    await fill(databaseOn(server, `${name}_draft`));
    await client.query(`alter database ${name}_draft rename to ${name}`);
    return name;
  } finally {
    await client.end();
  }
}

async function folderTemplate(migrated: boolean): Promise<string> {
  const name = `${MAJOR}-${migrated ? await hashOfMigrations() : "empty"}-${Deno.uid()}`;
  const path = `${Deno.env.get("TMPDIR") ?? "/tmp"}/rookery-cluster-${name}`;
  const existing = await Deno.stat(path).catch(() => undefined);
  if (existing) {
    if (existing.uid === Deno.uid()) return path;
    throw new Error(`"${path}" belongs to another user; remove it`);
  }
  const draft = await Deno.makeTempDir({ prefix: "rookery-template-" });
  {
    await using server = await startEmbedded(draft, { settings: { fsync: "off" } });
    if (migrated) await fill(server.url);
  }
  await Deno.remove(`${draft}/postgres/postgres.log`);
  // The first rename makes it, for all processes.
  await Deno.rename(draft, path).catch(async (error) => {
    await Deno.remove(draft, { recursive: true });
    await Deno.stat(path).catch(() => {
      throw error;
    });
  });
  return path;
}

async function fill(url: string): Promise<void> {
  await using sql = connectPostgres(url, { max: 1 });
  await migrate(sql);
  await new StatsStore(sql, true).migrate();
}

async function hashOfMigrations(): Promise<string> {
  const hash = createHash("sha256");
  for (const { folder } of [MAIN, STATS]) {
    for (const { name, text } of await readMigrations(folder)) hash.update(`${name}\n${text}\n`);
  }
  return hash.digest("hex").slice(0, 12);
}

/** The database of one data folder into another, with its owner. */
async function copy(from: string, to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("cp", { args: ["-pR", `${from}/postgres`, to] }).output();
  if (!success) throw new Error(`The template could not be copied: ${new TextDecoder().decode(stderr)}`);
}

async function administer(server: string, statement: string): Promise<void> {
  const client = await connect(server);
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function connect(server: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server });
  client.on("error", () => {});
  await client.connect();
  return client;
}
