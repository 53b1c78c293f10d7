import type { Log } from "../../lib/log.ts";
import type { MetricsEndpoint } from "../../lib/http/metrics_endpoint.ts";
import { serveHttp } from "../../lib/http/server.ts";
import { FileStore } from "../../services/storage/file_store.ts";
import { storageService } from "../../services/storage/service.ts";
import { within } from "../../lib/sleep.ts";

/** Callers still connected after this time are dropped. */
const STOP_MS = 5_000;
/** The previous process may still be stopping. */
const LOCK_WAIT_MS = 5_000;

export interface StorageServerOptions {
  host: string;
  /** 0 selects a free port. */
  port: number;
  folder: string;
  maxEntries: number;
  /** A caller with this token may read and change everything. */
  token: string;
  log: Log;
  metrics?: MetricsEndpoint | undefined;
  accessLog?: boolean;
}

export interface StorageServer extends AsyncDisposable {
  port: number;
}

/** Opens the folder and serves it. Throws `StorageError` and errors of listening. */
export async function startStorageServer(
  { host, port, folder, maxEntries, token, log, metrics, accessLog = false }: StorageServerOptions,
): Promise<StorageServer> {
  if (token === "") throw new Error("The storage needs a token");
  const store = await FileStore.open(folder, { maxEntries, lockWaitMs: LOCK_WAIT_MS });
  const { fetch } = storageService(store, token, log, metrics);
  const server = serveHttp({ hostname: host, port, log, accessLog }, (request) => fetch(request));
  return {
    port: server.addr.port,
    async [Symbol.asyncDispose]() {
      // Aborting them by a signal would cause uncaught errors; they end with the process.
      await within(STOP_MS, server.shutdown());
      server[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
