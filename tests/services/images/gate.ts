/** A storage for tests that pauses on request. */
import { Log } from "../../../lib/log.ts";
import type { StorageSpec } from "../../../services/storage/open.ts";
import { startStorageServer } from "../../../workers/roles/storage.ts";

export interface GatedStorage extends AsyncDisposable {
  spec: StorageSpec;
  /** From now on, requests wait. */
  hold(): void;
  letGo(): void;
  /** Resolves with the next request that comes, as `GET /objects/a`. */
  next(): Promise<string>;
}

export const QUIET = new Log("error");
const TOKEN = "a word for tests";

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
  let letGo = () => {};
  let waiters: ((request: string) => void)[] = [];
  const gate = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    for (const tell of waiters.splice(0)) tell(`${request.method} ${pathname}`);
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
      ({ promise: open, resolve: letGo } = Promise.withResolvers<void>());
    },
    letGo: () => letGo(),
    next: () => new Promise((resolve) => waiters.push(resolve)),
    async [Symbol.asyncDispose]() {
      letGo();
      waiters = [];
      await gate.shutdown();
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
