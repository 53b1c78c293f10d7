/** Several nodes on one set of servers: the owner, which has the actors, and others that answer callers only. */
import { emptyFolder, NodeProcess } from "./node_process.ts";
import {
  freePort,
  type NatsServer,
  type PostgresServer,
  type Server,
  startNats,
  startPostgres,
  startRedis,
} from "./servers.ts";

export interface Installation extends AsyncDisposable {
  postgres: PostgresServer;
  redis: Server;
  nats: NatsServer;
  owner: NodeProcess;
  /** Those with `ROLES=api`. */
  a: NodeProcess;
  b: NodeProcess;
}

export async function startInstallation(): Promise<Installation> {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await startPostgres({ fsync: false }));
  const redis = stack.use(await startRedis());
  const nats = stack.use(await startNats());
  const services = { DATABASE_URL: await postgres.createDatabase(), REDIS_URL: redis.url, NATS_URL: nats.url };
  const port = String(await freePort());
  const start = async (env: Record<string, string>) =>
    stack.use(await NodeProcess.on(await emptyFolder(), { ...services, ...env }));
  const owner = await start({ ROLES: "api,actors,jobs,storage,kv,mail", STORAGE_PORT: port, WORKERS: "1" });
  const api = { ROLES: "api", STORAGE_URL: `http://127.0.0.1:${port}` };
  const [a, b] = [await start(api), await start(api)];
  const started = stack.move();
  return { postgres, redis, nats, owner, a, b, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
