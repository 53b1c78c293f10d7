import type { Readable } from "node:stream";
import type { Config } from "../../config.ts";
import { migrate } from "../../db/migrate.ts";
import { clearRedis } from "../../lib/cache/redis.ts";
import { BUILD_SEARCH } from "../../db/search/build.ts";
import type { Sql } from "../../db/sql.ts";
import { CROP_QUEUES } from "../../jobs/queue/redis.ts";
import { Log } from "../../lib/log.ts";
import { openStorage } from "../../services/storage/open.ts";
import { runningStorage } from "../../workers/roles/services.ts";
import { allTables, inOrder, quoted, storedSequences, storedTables } from "./catalog.ts";
import type { Checked } from "./check.ts";
import { type Manifest, tableFile } from "./manifest.ts";
import { putFiles } from "./photos.ts";
import { readTable } from "./stored_file.ts";
import { openTarget, type Replaced, type Target } from "./target.ts";
import type { Watcher } from "./write.ts";

/** Restores a checked backup. A failure before the last step leaves the installation unchanged. */
export async function restoreBackup(
  config: Config,
  { folder, manifest, files, secret, key }: Checked,
  replace: boolean,
  watcher: Watcher,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const target = stack.use(await openTarget(config, { replace, key }));
  if (files.length > 0) {
    // Before the tables that name them. If the restore fails, they are orphaned files.
    const storage = openStorage(await runningStorage({ config, secret, log: new Log("error"), stack }));
    watcher.begin("Photos", files.length);
    await putFiles(stack.use(storage), folder, files, () => watcher.step());
    watcher.end();
  }
  const { tables, sequences, migrations } = manifest;
  const source: TableSource = {
    columns: new Map(Object.entries(tables).map(([table, { columns }]) => [table, columns])),
    migrations,
    read: (table) => readTable(`${folder}/${tableFile(table)}`),
    count: (table) => tables[table]!.rows,
    sequences: () => sequences,
  };
  await fill(target, source, watcher);
  await renew(target.sql, target.replaced);
  if (config.REDIS_URL !== undefined) {
    const histories = [manifest.history.epoch, ...(target.replaced.history ? [target.replaced.history] : [])];
    await clearRedis(config.REDIS_URL, {
      queues: histories.map((history) => `${CROP_QUEUES}${history}`),
      spared: CROP_QUEUES,
    });
  }
  await target.commit();
}

/** The source from which an empty database is filled. */
export interface TableSource {
  columns: ReadonlyMap<string, readonly string[]>;
  migrations: Manifest["migrations"];
  read(table: string): Readable | Promise<Readable>;
  count(table: string): number | Promise<number>;
  /** Requested after the tables. */
  sequences(): Manifest["sequences"] | Promise<Manifest["sequences"]>;
  /** Replaces `LEFT_OUT`. */
  leftOut?: readonly string[];
}

/** Loads the tables at the source's migration, then applies the later migrations. */
export async function fill(target: Target, source: TableSource, watcher: Watcher): Promise<void> {
  const { columns: tables, migrations, leftOut } = source;
  const { sql } = target;
  await migrate(sql, undefined, migrations.at(-1)!.number);
  const there = await storedTables(sql, leftOut);
  for (const [table, columns] of tables) {
    if (!columns.every((column) => there.get(table)?.includes(column))) {
      throw new Error(`The backup's table "${table}" does not match its migrations`);
    }
  }
  const missing = [...there.keys()].find((table) => !tables.has(table));
  if (missing !== undefined) throw new Error(`The backup lacks the table "${missing}"`);
  const names = await inOrder(sql, [...there.keys()]);
  const triggers = (verb: string) =>
    names.map((name) => `alter table ${quoted([name])} ${verb} trigger user`).join(";\n");
  // The tables already contain what triggers wrote, and the record of moderation keeps its hashes.
  const emptied = (await allTables(sql)).filter((table) => table !== "migrations");
  await sql.script(`${triggers("disable")};\ntruncate ${quoted(emptied)}`);
  watcher.begin("Tables", names.length);
  for (const name of names) {
    await target.load(name, tables.get(name)!, await source.read(name));
    const [row] = await sql.query<{ rows: number }>(`select count(*) as rows from ${quoted([name])}`);
    if (row!.rows !== await source.count(name)) {
      throw new Error(`The table "${name}" has ${row!.rows} rows, which differs from the backup`);
    }
    watcher.step();
  }
  watcher.end();
  await sql.script(triggers("enable"));
  const sequences = await source.sequences();
  for (const name of await storedSequences(sql)) {
    const kept = sequences[name];
    if (kept) await sql.execute("select setval($1::regclass, $2, $3)", [quoted([name]), kept.value, kept.is_called]);
  }
  await migrate(sql);
}

/** Resets what must not continue from the backup. */
async function renew(sql: Sql, { epochs }: Replaced): Promise<void> {
  // Cursors issued after the backup belong to another history: their numbers mean other events now.
  await sql.execute("update sequencer set epoch = gen_random_uuid()");
  await sql.execute(
    `update partitions p set epoch = 1 + greatest(p.epoch, (
      select w.epoch from jsonb_to_recordset($1::jsonb) as w(id int, epoch bigint) where w.id = p.id))`,
    [JSON.stringify(epochs)],
  );
  // A session that ended after the backup must not become valid again.
  await sql.execute("update sessions set ended_at = now(), end_reason = 'session-ended' where ended_at is null");
  await sql.execute("update consumers set held_until = null");
  await sql.script(BUILD_SEARCH);
  await sql.script("analyze");
}
