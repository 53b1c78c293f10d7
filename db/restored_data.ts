/**
 * Replaces an embedded database by a restore: it is built in `<dataDir>/restoring`, and one rename to
 * `<dataDir>/restored` commits it. A crash before the rename keeps the old database. After a crash behind it, the next
 * process that locks the data folder completes the restore.
 */

import { awaitPredecessor } from "./embedded/predecessor.ts";
import { syncFolder } from "../lib/fsync_dir.ts";

/**
 * The folder in which a restore is built, under the lock of the data folder. It contains `postgres`, and possibly
 * `secret.key`.
 */
export function restoringFolder(dataDir: string): string {
  return `${dataDir}/restoring`;
}

/** The file with the name under which the old database is kept; without it the old one is deleted. */
const KEEP_AS = "keep_as";

/** Commits the restore. Needs the lock, with the databases closed. */
export async function putInPlace(dataDir: string, keepAs?: string): Promise<void> {
  if (keepAs !== undefined) await Deno.writeTextFile(`${restoringFolder(dataDir)}/${KEEP_AS}`, keepAs);
  // The database was synced when it was closed. The one it replaces is deleted permanently.
  await syncFiles(restoringFolder(dataDir));
  await Deno.rename(restoringFolder(dataDir), `${dataDir}/restored`);
  await finishRestore(dataDir);
}

/** Completes a committed restore, and removes an incomplete one. Needs the lock, with the database closed. */
export async function finishRestore(dataDir: string): Promise<void> {
  const restored = `${dataDir}/restored`;
  const keepAs = await readIfThere(`${restored}/${KEEP_AS}`);
  // The key first: a database without its key cannot be decrypted, and this one is the newer of the two.
  for (const name of ["secret.key", "postgres"]) {
    if (!await exists(`${restored}/${name}`)) continue;
    if (name === "postgres") await awaitPredecessor(`${dataDir}/${name}`);
    if (name === "postgres" && keepAs !== undefined && await exists(`${dataDir}/${name}`)) {
      await Deno.rename(`${dataDir}/${name}`, `${dataDir}/${keepAs}`);
    }
    await remove(`${dataDir}/${name}`);
    await Deno.rename(`${restored}/${name}`, `${dataDir}/${name}`);
  }
  await remove(restored);
  // The server of a killed restore may still be shutting down there.
  await awaitPredecessor(`${restoringFolder(dataDir)}/postgres`);
  await remove(restoringFolder(dataDir));
}

async function syncFiles(folder: string): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile) await syncFile(`${folder}/${name}`);
  }
  await syncFolder(folder);
}

async function syncFile(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  });
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
