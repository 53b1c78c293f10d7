import type { Log } from "../../lib/log.ts";
import { serveHttp } from "../../lib/http/server.ts";
import { FileStore } from "../../services/storage/file_store.ts";
import { storageService } from "../../services/storage/service.ts";
import { within } from "../../lib/sleep.ts";

/** Callers that have not ended by then are not waited for. */
const STOP_MS = 5_000;
/** The process before this one may still be ending. */
const LOCK_WAIT_MS = 5_000;

export interface StorageServerOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  folder: string;
  maxEntries: number;
  /** Whoever shows it may read and change everything. */
  token: string;
  log: Log;
}

export interface StorageServer extends AsyncDisposable {
  port: number;
}

/** Opens the folder and serves it. Throws `StorageError`, and what listening throws. */
export async function startStorageServer(
  { host, port, folder, maxEntries, token, log }: StorageServerOptions,
): Promise<StorageServer> {
  if (token === "") throw new Error("The storage needs a token");
  const store = await FileStore.open(folder, { maxEntries, lockWaitMs: LOCK_WAIT_MS });
  const { fetch } = storageService(store, token, log);
  const server = serveHttp({ hostname: host, port, log }, (request) => fetch(request));
  return {
    port: server.addr.port,
    async [Symbol.asyncDispose]() {
      // Cutting them off by a signal would throw where nobody catches; they end with the process.
      await within(STOP_MS, server.shutdown());
      server[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
