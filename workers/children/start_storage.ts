import { resolve } from "node:path";
import type { Log } from "../../lib/log.ts";
import { startChildProcess } from "../../lib/child_process.ts";

export interface StorageChild extends AsyncDisposable {
  url: string;
}

export interface StorageChildOptions {
  log: Log;
  /** 0 takes a free one, and keeps it over restarts. */
  port: number;
  folder: string;
  maxEntries: number;
  token: string;
}

/** Runs the storage as a process of its own, which ends with this one and is started anew when it dies. */
export async function startStorageChild(
  { log, port, folder, maxEntries, token }: StorageChildOptions,
): Promise<StorageChild> {
  const path = resolve(folder);
  // Deno's flags would take it for two folders.
  if (path.includes(",")) throw new Error(`The storage's folder must not have a comma in its path: "${path}"`);
  const child = await startChildProcess({
    name: "the storage",
    entry: new URL("./storage.ts", import.meta.url),
    permissions: [
      "--allow-env=STORAGE_PORT,STORAGE_FOLDER,STORAGE_MAX_ENTRIES,STORAGE_TOKEN",
      "--allow-net=127.0.0.1",
      `--allow-read=${path}`,
      `--allow-write=${path}`,
    ],
    env: (port) => ({
      STORAGE_PORT: String(port),
      STORAGE_FOLDER: path,
      STORAGE_MAX_ENTRIES: String(maxEntries),
      STORAGE_TOKEN: token,
    }),
    port,
    // Photos may wait where answers would have to.
    priority: "below",
    log,
  });
  return { url: `http://127.0.0.1:${child.port}`, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}
