import { resolve } from "node:path";
import type { Log } from "../../lib/log.ts";
import { type Child, startChild } from "./start_child.ts";

export interface StorageChildOptions {
  log: Log;
  /** 0 selects a free port and keeps it over restarts. */
  port: number;
  folder: string;
  maxEntries: number;
  token: string;
}

/** Starts the storage service. */
export async function startStorageChild(
  { log, port, folder, maxEntries, token }: StorageChildOptions,
): Promise<Child> {
  const path = resolve(folder);
  // Deno's flags would read it as two folders.
  if (path.includes(",")) throw new Error(`The storage's folder must not have a comma in its path: "${path}"`);
  const settings = {
    STORAGE_FOLDER: path,
    STORAGE_MAX_ENTRIES: String(maxEntries),
    STORAGE_TOKEN: token,
  };
  return await startChild({
    name: "the storage",
    entry: new URL("./storage.ts", import.meta.url),
    access: { env: ["STORAGE_PORT", ...Object.keys(settings)], read: [path], write: [path] },
    env: (port) => ({ ...settings, STORAGE_PORT: String(port) }),
    port,
    // Photos may wait; requests may not.
    priority: "below",
    log,
  });
}
