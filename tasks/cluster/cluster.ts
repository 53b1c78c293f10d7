/** A cluster on this machine: Postgres, NATS, Redis, a process with all services, nodes, and a proxy before them. */
import { resolve } from "node:path";
import type { Config } from "../../config.ts";
import { type DataLock, lockData } from "../../db/embedded/lock.ts";
import { startEmbedded } from "../../db/embedded/server.ts";
import { migrate } from "../../db/migrate.ts";
import { deleteAllNodes, type DirectoryRow, readDirectory } from "../../db/nodes.ts";
import { connectPostgres } from "../../db/postgres.ts";
import { endAllReceiptLeases } from "../../db/receipts.ts";
import type { Sql } from "../../db/sql.ts";
import { hasUsers } from "../../db/users.ts";
import { freePorts } from "../../lib/free_ports.ts";
import { Secret } from "../../security/secret.ts";
import { makePassword } from "../../workers/roles/administrator.ts";
import { ClusterNode } from "./node.ts";
import { startProxy } from "./proxy.ts";
import { START, startServices } from "./services.ts";
import { findPrograms, startNats, startRedis } from "./servers.ts";

export interface ClusterOptions {
  config: Config;
  nodes: number;
  /** Of the proxy; 0 takes a free one. */
  port: number;
  /** Shows a line. */
  note: (line: string) => void;
  /** Ends the start early. */
  signal: AbortSignal;
}

/** For 16 nodes. Each has a pool, a lease and worker threads. */
const MAX_CONNECTIONS = "800";
const CHECK_MS = 500;

export class Cluster implements AsyncDisposable {
  readonly nodes: ClusterNode[] = [];
  url = "";
  #turn = 0;
  #sql!: Sql;
  /** Settings of every node. */
  #env: Record<string, string> = {};
  #stack = new AsyncDisposableStack();

  private constructor(private readonly options: ClusterOptions) {}

  /** Resolves when all nodes answer. A failure or the signal stops what was started. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    const stopped = Promise.withResolvers<never>();
    options.signal.addEventListener("abort", () => stopped.reject(options.signal.reason));
    try {
      await Promise.race([cluster.#start(), stopped.promise]);
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Nodes and partitions, as Postgres has them. */
  directory(): Promise<DirectoryRow> {
    return readDirectory(this.#sql);
  }

  /** Adds a node; resolves when it answers. */
  async add(): Promise<ClusterNode> {
    const name = `node ${this.nodes.length + 1}`;
    const [port = 0] = freePorts(1);
    const node = new ClusterNode({
      name,
      port,
      command: START,
      env: {
        ...this.#env,
        ROLES: "api,actors",
        PORT: String(port),
        NODE_URL: `http://127.0.0.1:${port}`,
      },
      log: `${this.#folder}/${name.replace(" ", "-")}.log`,
      onEnd: ({ code, signal }) => this.options.note(`${name} ended with ${signal ?? `code ${code}`}; starts in 8 s`),
    });
    this.nodes.push(node);
    await node.open();
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Concurrently, because each node takes time to drain.
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.#stack.disposeAsync();
  }

  get #folder(): string {
    return `${resolve(this.options.config.DATA_DIR)}/cluster`;
  }

  async #start(): Promise<void> {
    const { config, nodes, port, note } = this.options;
    const programs = findPrograms(config);
    note(`Starting ${nodes} ${nodes === 1 ? "node" : "nodes"}; logs are in ${this.#folder}`);
    // Before anything in the folder starts.
    const lock = this.#stack.use(await lockData(config.DATA_DIR));
    await Deno.mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const proxy = this.#stack.use(await startProxy(config.HOST, port, () => this.#order()));
    this.url = urlOf(config.HOST, proxy.port);
    const [natsPort = 0, redisPort = 0] = freePorts(2);
    const [databaseUrl] = await Promise.all([
      this.#database(lock),
      programs.nats && startNats(programs.nats, this.#folder, natsPort).then((nats) => this.#stack.use(nats)),
      programs.redis && startRedis(programs.redis, this.#folder, redisPort).then((redis) => this.#stack.use(redis)),
    ]);
    this.#env = {
      HOST: "127.0.0.1",
      DATABASE_URL: databaseUrl,
      NATS_URL: config.NATS_URL ?? `nats://127.0.0.1:${natsPort}`,
      REDIS_URL: config.REDIS_URL ?? `redis://127.0.0.1:${redisPort}`,
      SECRET_KEY: config.SECRET_KEY ?? await secretIn(config.DATA_DIR),
      PUBLIC_URL: config.PUBLIC_URL ?? this.url,
      TRUSTED_PROXIES: "127.0.0.1",
      // The processes cannot share one port.
      METRICS_PORT: "",
      ...await this.#administrator(),
    };
    const services = await startServices({
      config,
      env: this.#env,
      folder: this.#folder,
      apiUrl: this.url,
      stack: this.#stack,
      note,
    });
    Object.assign(this.#env, services);
    await Promise.all(Array.from({ length: nodes }, () => this.add()));
    const checking = setInterval(() => this.nodes.forEach((node) => void node.check()), CHECK_MS);
    this.#stack.defer(() => clearInterval(checking));
  }

  /** The database with its tables, as no node has seen it yet. */
  async #database(lock: DataLock): Promise<string> {
    const { DATABASE_URL, DATA_DIR } = this.options.config;
    const settings = { max_connections: MAX_CONNECTIONS };
    const url = DATABASE_URL ?? this.#stack.use(await startEmbedded(DATA_DIR, { lock, settings })).url;
    this.#sql = this.#stack.use(connectPostgres(url, { max: 2, applicationName: "rookery-cluster" }));
    await migrate(this.#sql);
    // No node of an earlier cluster can be running.
    if (DATABASE_URL === undefined) await Promise.all([endAllReceiptLeases(this.#sql), deleteAllNodes(this.#sql)]);
    return url;
  }

  /** The first start creates an administrator on one of the nodes, whose output is in a log file. */
  async #administrator(): Promise<Record<string, string>> {
    const { ADMIN_PASSWORD, ADMIN_LOGIN } = this.options.config;
    if (ADMIN_PASSWORD !== undefined || await hasUsers(this.#sql)) return {};
    const password = makePassword();
    this.options.note(`The administrator is "${ADMIN_LOGIN}" with the password ${password} (printed only this once)`);
    return { ADMIN_PASSWORD: password };
  }

  /** Ready nodes in turn, then other running nodes, which may answer some requests. */
  #order(): ClusterNode[] {
    const running = this.nodes.filter(({ state }) => state !== "stopped" && state !== "draining");
    const [ready, others] = [true, false].map((wanted) =>
      running.filter(({ state }) => (state === "ready" || state === "degraded") === wanted)
    ) as [ClusterNode[], ClusterNode[]];
    const turn = this.#turn++;
    return [...rotated(ready, turn), ...rotated(others, turn)];
  }
}

/** The URL of a server for people and processes on this machine. */
function urlOf(host: string, port: number): string {
  const reached = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${reached.includes(":") ? `[${reached}]` : reached}:${port}`;
}

function rotated<T>(items: T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

/** The secret of an embedded installation, so that `deno task start` can use the data, too. */
async function secretIn(dataDir: string): Promise<string> {
  await Secret.load(undefined, dataDir);
  return (await Deno.readTextFile(`${dataDir}/secret.key`)).trim();
}
