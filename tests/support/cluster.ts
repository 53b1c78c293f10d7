/** Equal nodes (`ROLES=api,actors`) on one Postgres, Redis and NATS. */
import { emptyFolder, NodeProcess } from "./node_process.ts";
import { type NatsServer, type PostgresServer, type Server, startNats, startPostgres, startRedis } from "./servers.ts";
import { TcpProxy } from "./tcp_proxy.ts";

export interface Cluster extends AsyncDisposable {
  postgres: PostgresServer;
  redis: Server;
  nats: NatsServer;
  nodes: NodeProcess[];
  /** Between each node and NATS, so that tests can cut them off. Benches have none. */
  proxies: TcpProxy[];
}

export async function startCluster(
  count: number,
  env: Record<string, string> = {},
  { fsync = false, hasProxies = true } = {},
): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const [postgres, redis, nats] = await Promise.all([startPostgres({ fsync }), startRedis(), startNats()]);
  for (const server of [postgres, redis, nats]) stack.use(server);
  const database = await postgres.createDatabase();
  const nodes: NodeProcess[] = [];
  const proxies: TcpProxy[] = [];
  const wayToNats = () => {
    if (!hasProxies) return nats.url;
    const proxy = stack.use(new TcpProxy(Number(new URL(nats.url).port)));
    proxies.push(proxy);
    return `nats://127.0.0.1:${proxy.port}`;
  };
  const add = async () => {
    const node = stack.use(
      await NodeProcess.on(await emptyFolder(), {
        ROLES: "api,actors",
        WORKERS: "1",
        DATABASE_URL: database,
        REDIS_URL: redis.url,
        NATS_URL: wayToNats(),
        // Where nobody posts photos.
        STORAGE_URL: "http://127.0.0.1:9",
        ...env,
      }),
    );
    nodes.push(node);
  };
  for (let i = 0; i < count; i++) await add();
  const started = stack.move();
  return { postgres, redis, nats, nodes, proxies, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
