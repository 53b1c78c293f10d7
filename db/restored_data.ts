/**
 * How a restore takes the place of an embedded database: it is built in `<dataDir>/restoring`, and one rename to
 * `<dataDir>/restored` decides. Whatever dies before leaves the database that was there; whatever dies after it is finished by
 * whoever takes the data folder next.
 */

import { awaitPredecessor } from "./embedded/predecessor.ts";
import { syncFolder } from "../lib/fsync_dir.ts";

/** Where a restore builds, under the data folder's lock; it has `postgres` in it, and perhaps `secret.key`. */
export function restoringFolder(dataDir: string): string {
  return `${dataDir}/restoring`;
}

/** Holds the name under which the database that was there stays; without it, that one goes. */
const KEEP_AS = "keep_as";

/** What was built is the installation's data from now on. Call it with the databases closed, under the lock. */
export async function putInPlace(dataDir: string, keepAs?: string): Promise<void> {
  if (keepAs !== undefined) await Deno.writeTextFile(`${restoringFolder(dataDir)}/${KEEP_AS}`, keepAs);
  // The database has synced itself as it was closed; what it takes the place of goes for good.
  await syncFiles(restoringFolder(dataDir));
  await Deno.rename(restoringFolder(dataDir), `${dataDir}/restored`);
  await finishRestore(dataDir);
}

/** Finishes what was decided, and removes what was not. Call it under the lock, with the database closed. */
export async function finishRestore(dataDir: string): Promise<void> {
  const restored = `${dataDir}/restored`;
  const keepAs = await readIfThere(`${restored}/${KEEP_AS}`);
  // The key first: a database without its key cannot be opened, and this one is the newer of the two.
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
  // The server of a restore that was killed may still be ending there.
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
