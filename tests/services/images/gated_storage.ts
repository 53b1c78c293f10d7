/** A storage whose requests a test can hold. */
import { Log } from "../../../lib/log.ts";
import type { StorageSpec } from "../../../services/storage/open.ts";
import { startStorageServer } from "../../../workers/roles/storage.ts";

export interface GatedStorage extends AsyncDisposable {
  spec: StorageSpec;
  /** From now on, requests wait. */
  hold(): void;
  release(): void;
  /** Resolves with the next request that comes, as `GET /objects/a`. */
  next(): Promise<string>;
}

export const QUIET = new Log("error");
const TOKEN = "a token for tests";

export async function startGatedStorage(): Promise<GatedStorage> {
  const folder = await Deno.makeTempDir();
  const server = await startStorageServer({
    host: "127.0.0.1",
    port: 0,
    folder,
    maxEntries: 1000,
    token: TOKEN,
    log: QUIET,
  });
  let open = Promise.resolve();
  let release = () => {};
  let waiters: ((request: string) => void)[] = [];
  const gate = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    for (const resolve of waiters.splice(0)) resolve(`${request.method} ${pathname}`);
    await open;
    return await fetch(`http://127.0.0.1:${server.port}${pathname}${search}`, {
      method: request.method,
      headers: request.headers,
      body: request.body && await request.bytes(),
    });
  });
  return {
    spec: { kind: "rest", url: `http://127.0.0.1:${gate.addr.port}`, token: TOKEN },
    hold() {
      ({ promise: open, resolve: release } = Promise.withResolvers<void>());
    },
    release: () => release(),
    next: () => new Promise((resolve) => waiters.push(resolve)),
    async [Symbol.asyncDispose]() {
      release();
      waiters = [];
      await gate.shutdown();
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
