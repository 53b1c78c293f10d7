import type { Config } from "../../config.ts";
import { neededFiles } from "../../db/files.ts";
import { openDatabase } from "../database.ts";
import { openStorage } from "../../services/storage/open.ts";
import { syncFolder } from "../../lib/fsync_dir.ts";
import { Secret } from "../../security/secret.ts";
import { Log } from "../../lib/log.ts";
import { runningStorage } from "../../workers/roles/services.ts";
import { FILE_LIST, FORMAT, LEFT_OUT, MANIFEST, type Manifest, SECRET_FILE, tableFile } from "./manifest.ts";
import { type CopiedFiles, copyFiles, listed, namedFiles } from "./photos.ts";
import { takeSnapshot } from "./source.ts";
import { measure, readTable, writeFile, writeTable } from "./stored_file.ts";

/** Receives the progress of the backup. */
export interface Watcher {
  /** A stage with this many steps begins. */
  begin(name: string, steps: number): void;
  step(): void;
  end(): void;
}

/**
 * Writes a backup to `folder` through `<folder>.partial`, so a folder with the final name is complete. Throws if the
 * folder exists; other errors are messages for the user.
 */
export async function writeBackup(
  config: Config,
  folder: string,
  watcher: Watcher,
  { allowMissing = false } = {},
): Promise<Manifest> {
  if (await exists(folder)) throw new Error(`"${folder}" exists already`);
  const partial = `${folder}.partial`;
  using _place = await takePlace(partial);
  try {
    const manifest = await fill(config, partial, watcher, allowMissing);
    await writeFile(`${partial}/${MANIFEST}`, new TextEncoder().encode(JSON.stringify(manifest, undefined, 2) + "\n"));
    for (const path of [`${partial}/tables`, `${partial}/files`, partial]) await syncFolder(path);
    await Deno.remove(`${partial}/${LOCK}`);
    // A rename replaces nothing except an empty folder created meanwhile.
    await Deno.rename(partial, folder);
    await syncFolder(parentOf(folder));
    return manifest;
  } catch (error) {
    await Deno.remove(partial, { recursive: true }).catch(() => {});
    throw error;
  }
}

async function fill(config: Config, partial: string, watcher: Watcher, allowMissing: boolean): Promise<Manifest> {
  for (const name of ["tables", "files"]) await Deno.mkdir(`${partial}/${name}`, { mode: 0o700 });
  // Before the tables, whose values are encrypted with it: the first start creates it before them.
  const secret = await copySecret(config, partial);
  const tables = await copyTables(config, partial, watcher);
  const photos = await copyPhotos(config, partial, tables.tables, watcher, allowMissing);
  return {
    format: FORMAT,
    made_at: new Date().toISOString(),
    ...tables,
    photos,
    secret,
    left_out: { ...LEFT_OUT, "schema stats": "rebuilt", "Redis, NATS": "have no permanent data" },
  };
}

async function copySecret(config: Config, partial: string): Promise<Manifest["secret"]> {
  if (config.SECRET_KEY !== undefined) return { kept: "SECRET_KEY" };
  const content = await Deno.readFile(`${config.DATA_DIR}/${SECRET_FILE}`).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`There is no "${config.DATA_DIR}/${SECRET_FILE}": set SECRET_KEY to that of the installation`);
  });
  return { kept: "here", ...await writeFile(`${partial}/${SECRET_FILE}`, content) };
}

async function copyTables(
  config: Config,
  partial: string,
  watcher: Watcher,
): Promise<Pick<Manifest, "history" | "migrations" | "tables" | "sequences">> {
  await using snapshot = await takeSnapshot(config);
  watcher.begin("Tables", snapshot.tables.size);
  const tables: Manifest["tables"] = {};
  for (const [table, columns] of snapshot.tables) {
    const stored = await writeTable(`${partial}/${tableFile(table)}`, await snapshot.read(table));
    tables[table] = { columns: [...columns], ...stored };
    watcher.step();
  }
  watcher.end();
  const { history, migrations } = snapshot;
  return { history, migrations, tables, sequences: await snapshot.sequences() };
}

/** After the tables: every file they name existed or has been deleted since. */
async function copyPhotos(
  config: Config,
  partial: string,
  tables: Manifest["tables"],
  watcher: Watcher,
  allowMissing: boolean,
): Promise<Manifest["photos"]> {
  await using stack = new AsyncDisposableStack();
  using list = await Deno.open(`${partial}/${FILE_LIST}`, { createNew: true, write: true, mode: 0o600 });
  const { columns, rows } = tables.photos ?? { columns: [], rows: 0 };
  const named = () => namedFiles(readTable(`${partial}/${tableFile("photos")}`), columns);
  let copied: CopiedFiles = { count: 0, bytes: 0, gone: [] };
  if (rows > 0) {
    let total = 0;
    for await (const _ of named()) total++;
    const secret = await Secret.load(config.SECRET_KEY, config.DATA_DIR, config.SECRET_KEY_PREVIOUS);
    const spec = await runningStorage({ config, secret, log: new Log("error"), stack });
    watcher.begin("Photos", total);
    copied = await copyFiles(stack.use(openStorage(spec)), named(), `${partial}/files`, (key, stored) => {
      // One write, so that lines never mix.
      list.writeSync(new TextEncoder().encode(listed(key, stored)));
      watcher.step();
    });
    watcher.end();
    if (!allowMissing) await refuseMissing(config, copied);
  }
  await list.sync();
  const { sha256 } = await measure(`${partial}/${FILE_LIST}`);
  return { ...copied, gone: copied.gone.length, sha256 };
}

/** A photo may have been deleted since the tables were read. A missing file of an existing photo is an error. */
async function refuseMissing(config: Config, { count, gone }: CopiedFiles): Promise<void> {
  if (gone.length === 0) return;
  await using database = await openDatabase(config);
  const missing = await neededFiles(database.sql, gone);
  if (missing.length === 0) return;
  throw new Error(
    `${missing.length} of ${count + gone.length} files of photos are not in the storage, such as "${missing[0]}". ` +
      "Set STORAGE_URL or S3_URL as the server has them; if the files are lost, add --allow-missing",
  );
}

const LOCK = ".lock";

/** Claims the partial folder for this process and empties it of a killed backup's files. */
async function takePlace(partial: string): Promise<Disposable> {
  if (await exists(partial) && !await exists(`${partial}/${LOCK}`)) {
    throw new Error(`"${partial}" exists already; move it away`);
  }
  await Deno.mkdir(partial, { recursive: true, mode: 0o700 });
  const lock = await Deno.open(`${partial}/${LOCK}`, { create: true, write: true, mode: 0o600 });
  if (!await lock.tryLock(true)) {
    lock.close();
    throw new Error(`Another backup is being written to "${partial}"`);
  }
  for await (const { name } of Deno.readDir(partial)) {
    if (name !== LOCK) await Deno.remove(`${partial}/${name}`, { recursive: true });
  }
  return lock;
}

/** Removes what killed backups have left in a folder of backups. */
export async function removeLeftovers(folder: string): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name, isDirectory } of entries) {
    if (!isDirectory || !/^\d{8}T\d{6}Z\.partial$/.test(name)) continue;
    try {
      using _place = await takePlace(`${folder}/${name}`);
      await Deno.remove(`${folder}/${name}`, { recursive: true });
    } catch {
      // It is being written.
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  });
}

function parentOf(path: string): string {
  return path.replace(/\/*$/, "/..");
}
