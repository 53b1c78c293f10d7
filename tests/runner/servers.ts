/** The servers of one lane, and their addresses as its tests know them. */
import { startNats, startPostgres, startRedis } from "../support/servers.ts";
import { print } from "./output.ts";

type Env = Record<string, string>;

/** What is not installed is left out, and its tests with it; in CI that is a failure. */
export async function startServers(stack: AsyncDisposableStack, fast: boolean): Promise<Env | undefined> {
  const env: Env = {};
  const starts = {
    Postgres: async () => env.TEST_POSTGRES_URL = stack.use(await startPostgres({ fsync: false })).url,
    Redis: async () => env.TEST_REDIS_URL = stack.use(await startRedis()).url,
    NATS: async () => {
      const server = stack.use(await startNats());
      [env.TEST_NATS_URL, env.TEST_NATS_WS_URL] = [server.url, server.wsUrl];
    },
  };
  const wanted = Object.entries(starts).filter(([name]) => !fast || name === "Postgres");
  const missing = (await Promise.all(wanted.map(([name, start]) => started(name, start)))).includes(false);
  // Postgres comes with Rookery: without it there is nothing to test.
  return env.TEST_POSTGRES_URL === undefined || (missing && isCi()) ? undefined : env;
}

/** Debian's, where it is installed. */
export async function startPostgres15(stack: AsyncDisposableStack): Promise<Env | undefined> {
  const env: Env = {};
  await started("Postgres 15", async () => {
    env.TEST_POSTGRES_URL = stack.use(await startPostgres({ debian: true, fsync: false })).url;
  });
  return env.TEST_POSTGRES_URL === undefined ? undefined : env;
}

export function isCi(): boolean {
  return Deno.env.get("CI") === "true";
}

async function started(name: string, start: () => Promise<unknown>): Promise<boolean> {
  try {
    await start();
    return true;
  } catch (error) {
    print(`${name} did not start: ${error instanceof Error ? error.message : error}`);
    return false;
  }
}
