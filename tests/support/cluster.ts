/** Equal nodes (`ROLES=api,actors`) on one Postgres, Redis and NATS, each node with its own way to NATS. */
import { emptyFolder, NodeProcess } from "./node_process.ts";
import { type NatsServer, type PostgresServer, type Server, startNats, startPostgres, startRedis } from "./servers.ts";
import { TcpProxy } from "./tcp_proxy.ts";

export interface Cluster extends AsyncDisposable {
  postgres: PostgresServer;
  redis: Server;
  nats: NatsServer;
  nodes: NodeProcess[];
  /** Between each node and NATS. */
  proxies: TcpProxy[];
}

export async function startCluster(count: number, env: Record<string, string> = {}): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const [postgres, redis, nats] = await Promise.all([startPostgres({ fsync: false }), startRedis(), startNats()]);
  for (const server of [postgres, redis, nats]) stack.use(server);
  const database = await postgres.createDatabase();
  const nodes: NodeProcess[] = [];
  const proxies: TcpProxy[] = [];
  const add = async () => {
    const proxy = stack.use(new TcpProxy(Number(new URL(nats.url).port)));
    const node = stack.use(
      await NodeProcess.on(await emptyFolder(), {
        ROLES: "api,actors",
        WORKERS: "1",
        DATABASE_URL: database,
        REDIS_URL: redis.url,
        NATS_URL: `nats://127.0.0.1:${proxy.port}`,
        // Where nobody posts photos.
        STORAGE_URL: "http://127.0.0.1:9",
        ...env,
      }),
    );
    nodes.push(node);
    proxies.push(proxy);
  };
  for (let i = 0; i < count; i++) await add();
  const started = stack.move();
  return { postgres, redis, nats, nodes, proxies, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
