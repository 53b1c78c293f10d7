/** The servers of one lane, and the variables with their addresses. */
import { startNats, startPostgres, startRedis } from "../support/servers.ts";
import { print } from "./output.ts";

type Env = Record<string, string>;

/** Servers that are not installed are skipped with their tests; in CI that is a failure. */
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
  // Postgres is bundled with Rookery. Without it no test can run.
  return env.TEST_POSTGRES_URL === undefined || (missing && isCi()) ? undefined : env;
}

/** Debian's Postgres 15, if it is installed. */
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
