import { finishRestore } from "../restored_data.ts";
import { DatabaseLocked, refusalOf } from "./refused.ts";

/** Exclusive use of a data folder, until the process ends for any reason. */
export type DataLock = Disposable;

/** Locks the data folder, and completes an interrupted restore. Throws `EmbeddedRefused`. */
export async function lockData(dataDir: string): Promise<DataLock> {
  try {
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    return await take(dataDir);
  } catch (error) {
    throw refusalOf(error, dataDir) ?? error;
  }
}

async function take(dataDir: string): Promise<DataLock> {
  const path = `${dataDir}/lock`;
  const file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
  try {
    if (!await file.tryLock(true)) {
      throw new DatabaseLocked(dataDir, Number(await Deno.readTextFile(path)) || undefined);
    }
    await file.truncate();
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    await finishRestore(dataDir);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}
