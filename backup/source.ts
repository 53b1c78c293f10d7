/** Where the tables of a backup come from: all as they were at one moment. */
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { openDatabase } from "../tasks/database.ts";
import type { Config } from "../config.ts";
import { sequencerState } from "../db/events.ts";
import type { Reader } from "../db/sql.ts";
import { checkOwn, quoted, storedSequences, storedTables } from "./catalog.ts";
import { copyOut } from "./postgres_copy.ts";
import { connectDedicated, TransactionSql } from "./transaction.ts";
import type { Manifest } from "./manifest.ts";

export interface Snapshot extends AsyncDisposable {
  tables: ReadonlyMap<string, readonly string[]>;
  history: Manifest["history"];
  migrations: Manifest["migrations"];
  /** The text of a table; one at a time. */
  read(table: string): Promise<Readable>;
  /** Read after the tables, so that no number in them is past it. */
  sequences(): Promise<Manifest["sequences"]>;
}

/** Takes the snapshot. Throws what to tell the person. */
export async function takeSnapshot(config: Config): Promise<Snapshot> {
  return config.DATABASE_URL === undefined
    ? await embeddedSnapshot(config)
    : await postgresSnapshot(config.DATABASE_URL);
}

/** One transaction that sees one moment; others write on beside it. */
async function postgresSnapshot(url: string): Promise<Snapshot> {
  await using stack = new AsyncDisposableStack();
  const client = stack.adopt(await connectDedicated(url), (client) => client.end());
  const sql = new TransactionSql(client);
  const seen = [...(await checkedTables(sql)).keys()];
  await client.query("begin isolation level repeatable read read only; set local statement_timeout = 0");
  // Before the moment is chosen, which is with the first look at a table; from here on nobody changes what a table is.
  await client.query(`lock table ${quoted(seen)} in access share mode`);
  const about = await describe(sql);
  if (seen.join() !== [...about.tables.keys()].join()) throw new Error("The tables were changed meanwhile; try again");
  const running = stack.move();
  return {
    ...about,
    read: (table) =>
      Promise.resolve(copyOut(client, `copy "${table}" (${quoted(about.tables.get(table)!)}) to stdout`)),
    sequences: () => readSequences(sql),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/**
 * Begins the name of the folder, inside that of the embedded database, where it writes the tables' texts: it can write nowhere else. The
 * rest differs each time, as PGlite remembers a file of a name though it was removed.
 */
const FOLDER = "rookery-backup-";

/**
 * One script writes all texts: it is one transaction, and nothing comes between on the only connection. Whoever else wants something
 * waits for it.
 */
async function embeddedSnapshot(config: Config): Promise<Snapshot> {
  await using stack = new AsyncDisposableStack();
  // Another one would remove what this one writes.
  stack.use(await onlyBackup(config.DATA_DIR));
  const { sql } = stack.use(await openDatabase(config));
  await checkedTables(sql);
  const about = await describe(sql);
  const name = `${FOLDER}${crypto.randomUUID()}`;
  const folder = `${config.DATA_DIR}/postgres/${name}`;
  // What a backup that was killed has left goes, too: the answers above came after whatever its server still did for it.
  await removeFolders(config.DATA_DIR);
  stack.defer(() => removeFolders(config.DATA_DIR));
  await Deno.mkdir(folder, { mode: 0o700 });
  const [{ data_directory: place }] = await sql.query("show data_directory") as [{ data_directory: string }];
  const copies = [...about.tables].map(([table, columns]) =>
    `copy "${table}" (${quoted(columns)}) to '${place}/${name}/${table}' (encoding 'UTF8')`
  );
  // These with the tables, too: what was read before may be of a server that was replaced meanwhile.
  copies.push(
    `copy (select epoch, seq, (select max(number) from migrations) from sequencer) to '${place}/${name}/.about'`,
  );
  await sql.script(copies.join(";\n"));
  const [epoch, seq, number] = (await Deno.readTextFile(`${folder}/.about`)).trim().split("\t") as [
    string,
    string,
    string,
  ];
  if (Number(number) !== about.migrations.at(-1)!.number) {
    throw new Error("The tables were changed meanwhile; try again");
  }
  const running = stack.move();
  return {
    ...about,
    history: { epoch, seq: Number(seq) },
    read: async (table) => {
      const text = createReadStream(`${folder}/${table}`);
      // The disk holds the text and its compressed copy of one table at a time.
      text.on("close", () => void Deno.remove(`${folder}/${table}`).catch(ignoreMissing));
      return await Promise.resolve(text);
    },
    sequences: () => readSequences(sql),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function checkedTables(sql: Reader): Promise<Map<string, string[]>> {
  await checkOwn(sql);
  const tables = await storedTables(sql);
  if (tables.has("users")) return tables;
  throw new Error("There is nothing to back up: the database has no accounts; start Rookery once");
}

async function describe(sql: Reader): Promise<Pick<Snapshot, "tables" | "history" | "migrations">> {
  const { epoch, seq } = await sequencerState(sql);
  return {
    tables: await storedTables(sql),
    history: { epoch, seq },
    migrations: await sql.query("select number, name from migrations order by number"),
  };
}

async function readSequences(sql: Reader): Promise<Manifest["sequences"]> {
  const found: Manifest["sequences"] = {};
  for (const name of await storedSequences(sql)) {
    const [row] = await sql.query<{ value: number; is_called: boolean }>(
      `select last_value as value, is_called from ${quoted([name])}`,
    );
    found[name] = row!;
  }
  return found;
}

async function onlyBackup(dataDir: string): Promise<Disposable> {
  const file = await Deno.open(`${dataDir}/backup.lock`, { create: true, write: true, mode: 0o600 });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new Error("Another backup of this installation is being made");
}

async function removeFolders(dataDir: string): Promise<void> {
  for await (const { name } of Deno.readDir(`${dataDir}/postgres`)) {
    if (name.startsWith(FOLDER)) await Deno.remove(`${dataDir}/postgres/${name}`, { recursive: true });
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
