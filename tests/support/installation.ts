/** Several nodes on servers of their own. A test may kill, freeze and restart each of them, and the servers. */
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

type Env = Record<string, string>;

export class Installation implements AsyncDisposable {
  /** In the order of their start. */
  readonly nodes: NodeProcess[] = [];
  #storageUrl: string | undefined;

  private constructor(
    /** What each node gets: the addresses of the servers. */
    readonly services: Readonly<Env>,
    readonly postgres: PostgresServer,
    private readonly servers: { redis: Server | undefined; nats: NatsServer | undefined },
    private readonly stack: AsyncDisposableStack,
  ) {}

  /** The servers, with an empty database and no node yet. */
  static async open({ redis = true, nats = true } = {}): Promise<Installation> {
    await using stack = new AsyncDisposableStack();
    const postgres = stack.use(await startPostgres({ fsync: false }));
    const servers = {
      redis: redis ? stack.use(await startRedis()) : undefined,
      nats: nats ? stack.use(await startNats()) : undefined,
    };
    const services: Env = { DATABASE_URL: await postgres.createDatabase() };
    if (servers.redis) services.REDIS_URL = servers.redis.url;
    if (servers.nats) services.NATS_URL = servers.nats.url;
    return new Installation(services, postgres, servers, stack.move());
  }

  get redis(): Server {
    return this.servers.redis!;
  }
  get nats(): NatsServer {
    return this.servers.nats!;
  }

  /** One more node, in its own folder. Nodes without the role `storage` use the storage of the first that has it. */
  async start(env: Env = {}): Promise<NodeProcess> {
    const storage: Env = {};
    const isStorage = env.ROLES?.split(",").includes("storage") ?? false;
    if (isStorage && !this.#storageUrl) {
      storage.STORAGE_PORT = String(await freePort());
      this.#storageUrl = `http://127.0.0.1:${storage.STORAGE_PORT}`;
    } else if (!isStorage && this.#storageUrl) {
      storage.STORAGE_URL = this.#storageUrl;
    }
    const node = await NodeProcess.on(await emptyFolder(), { ...this.services, ...storage, ...env });
    this.nodes.push(this.stack.use(node));
    return node;
  }

  /** So many nodes with the same settings. */
  async startEqual(count: number, env: Env = { ROLES: "api,actors" }): Promise<NodeProcess[]> {
    const started: NodeProcess[] = [];
    while (started.length < count) started.push(await this.start(env));
    return started;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}

export interface OwnerAndTwo {
  owner: NodeProcess;
  /** Those with `ROLES=api`. */
  a: NodeProcess;
  b: NodeProcess;
}

/** The owner, which has the actors and all else, and two nodes that answer callers only. */
export async function startInstallation(): Promise<Installation & OwnerAndTwo> {
  await using stack = new AsyncDisposableStack();
  const installation = stack.use(await Installation.open());
  const owner = await installation.start({ ROLES: "api,actors,jobs,storage,kv,mail", WORKERS: "1" });
  const [a, b] = await installation.startEqual(2, { ROLES: "api" }) as [NodeProcess, NodeProcess];
  stack.move();
  return Object.assign(installation, { owner, a, b });
}
