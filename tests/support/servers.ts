/**
 * Real servers for tests: each on a free port of 127.0.0.1, in its own temporary folder, removed after the run.
 * A server ends with the process that started it (`setpriv --pdeathsig`), also after SIGKILL.
 */
import pg from "../../db/pg.ts";
import { type Binaries, findBinaries, linkLibraries } from "../../db/embedded/binaries.ts";
import { runAs } from "../../db/embedded/run_as.ts";
import { freePorts } from "../../lib/free_ports.ts";
import { sleep } from "../../lib/sleep.ts";

/** For `deno`: the lock file with the packages that only tests and benches need, so that a start loads none of them. */
export const TEST_LOCK = `--lock=${new URL("../deno.lock", import.meta.url).pathname}`;

export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Stops it cleanly and removes its folder. */
  stop(): Promise<void>;
  /** SIGKILL; the data stays for `restart`. */
  kill(): Promise<void>;
  /** Kills it if it runs and starts it again on the same port; `wipe` empties its data first. */
  restart(options?: { wipe?: boolean }): Promise<void>;
  /** For SIGSTOP and SIGCONT. */
  signal(name: Deno.Signal): void;
}

export interface PostgresServer extends Server {
  /** Creates an empty database and returns its address. */
  createDatabase(): Promise<string>;
}

export interface NatsServer extends Server {
  /** The same server through a WebSocket, without TLS. */
  readonly wsUrl: string;
}

export interface PostgresOptions {
  /** False: data may be lost on power loss, which is fine for tests but not for benchmarks. */
  fsync?: boolean;
  settings?: Record<string, string>;
  /** Debian's Postgres 15 in place of the embedded one's programs. */
  debian?: boolean;
}

/** At a port of the loopback interface, without a password. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const port = await freePort();
  const home = await Deno.makeTempDir({ prefix: "rookery-postgres-" });
  const programs = options.debian ? debianPrograms() : findBinaries();
  const libraries = options.debian ? [] : [`${home}/lib`, programs.libraries];
  const as = await runAs({ dataDir: home, program: programs.postgres, clusterOwner: undefined });
  if (as.owner) await Deno.chown(home, as.owner.uid, as.owner.gid);
  const environment = ["env", `LD_LIBRARY_PATH=${libraries.join(":")}`, `DYLD_LIBRARY_PATH=${libraries.join(":")}`];
  await linkLibraries(programs, `${home}/lib`);
  const data = `${home}/data`;
  const settings = Object.entries({
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    fsync: options.fsync === false ? "off" : "on",
    max_connections: "200",
    ...options.settings,
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const server = await launch({
    url,
    home,
    // SIGQUIT also ends its children. A change of user resets the signal, so it is set after that.
    command: [
      ...as.prefix,
      ...words(boundToParent([...environment, programs.postgres, "-D", data, ...settings], "QUIT")),
    ],
    ...(as.user.uid === undefined ? {} : { user: { uid: as.user.uid, gid: as.user.gid ?? as.user.uid } }),
    stopSignal: "SIGINT",
    prepare: async () => {
      await Deno.remove(data, { recursive: true }).catch(() => {});
      const locale = options.debian
        ? ["--locale=C.UTF-8"]
        : ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
      const args = ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", ...locale];
      const [program = "", ...rest] = [...as.prefix, ...environment, programs.initdb, ...args];
      await output(program, rest, as.user);
    },
    isReady: async () => {
      const client = new pg.Client({ connectionString: url });
      client.on("error", () => {});
      return await client.connect().then(() => true, () => false).finally(() => client.end().catch(() => {}));
    },
  });
  return Object.assign(server, { createDatabase: () => createDatabase(url) });
}

function words([program, args]: [string, string[]]): string[] {
  return [program, ...args];
}

function debianPrograms(): Binaries {
  const [postgres, initdb] = [find("postgres"), find("initdb")];
  return { postgres, initdb, libraries: "", links: new Map() };
}

/** Creates an empty database on the server at `url` and returns its address. */
async function createDatabase(url: string): Promise<string> {
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  const fresh = new URL(url);
  fresh.pathname = `/${name}`;
  return fresh.href;
}

export async function startRedis(): Promise<Server> {
  const redis = find("redis-server");
  const port = await freePort();
  const home = await Deno.makeTempDir({ prefix: "rookery-redis-" });
  const data = `${home}/data`;
  return await launch({
    url: `redis://127.0.0.1:${port}`,
    home,
    command: [redis, "--bind", "127.0.0.1", "--port", `${port}`, "--dir", data, "--save", "", "--appendonly", "yes"],
    prepare: () => emptyFolder(data),
    isReady: () => answers(port, "PING\r\n", "+PONG"),
  });
}

export async function startNats(): Promise<NatsServer> {
  const [port, wsPort] = [await freePort(), await freePort()];
  const websocket = `websocket { listen: "127.0.0.1:${wsPort}", no_tls: true }\n`;
  const server = await launchNats(port, {
    config: (data) => `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${data}" }\n${websocket}`,
    isReady: async () => await answers(port, "", "INFO") && await answers(wsPort, "GET / HTTP/1.1\r\n\r\n", "HTTP"),
  });
  return Object.assign(server, { wsUrl: `ws://127.0.0.1:${wsPort}` });
}

/** As `compose.yaml` runs it: with `docker/nats.conf`, on free ports and in a folder of its own. */
export async function startBundledNats(password: string): Promise<Server> {
  const [port, monitoring] = [await freePort(), await freePort()];
  const text = await Deno.readTextFile(new URL("../../docker/nats.conf", import.meta.url));
  const here = { "0.0.0.0:4222": `127.0.0.1:${port}`, "127.0.0.1:8222": `127.0.0.1:${monitoring}` };
  return await launchNats(port, {
    config: (data) => replaceAll(text, { ...here, '"/data"': `"${data}"` }),
    env: [`NATS_PASSWORD="${password}"`],
    // What its health check in compose.yaml asks.
    isReady: () => answers(monitoring, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 200"),
  });
}

async function launchNats(
  port: number,
  { config, env = [], isReady }: {
    config: (data: string) => string;
    env?: string[];
    isReady: () => Promise<boolean>;
  },
): Promise<Server> {
  const nats = find("nats-server");
  const home = await Deno.makeTempDir({ prefix: "rookery-nats-" });
  const data = `${home}/data`;
  await Deno.writeTextFile(`${home}/nats.conf`, config(data));
  return await launch({
    url: `nats://127.0.0.1:${port}`,
    home,
    command: ["env", ...env, nats, "-c", `${home}/nats.conf`],
    prepare: () => emptyFolder(data),
    isReady,
  });
}

/** Replaces several texts, each of which has to be there. */
export function replaceAll(text: string, replacements: Record<string, string>): string {
  for (const [from, to] of Object.entries(replacements)) {
    if (!text.includes(from)) throw new Error(`The text has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** Whether nginx is installed. In CI its absence is a failure, never a skip. */
export function hasNginx(): boolean {
  const found = locate("nginx") !== undefined;
  if (!found && Deno.env.get("CI") === "true") throw new Error("nginx is not installed");
  return found;
}

/**
 * nginx in front of `upstream`, with the block of `docs/deployment.md`, without TLS and on a free port. `edit` changes
 * the text of the block first. It answers on 127.0.0.1 and on ::1.
 */
export async function startNginx(
  upstream: string,
  edit: (block: string) => string = (block) => block,
): Promise<Server> {
  const nginx = find("nginx");
  const port = await freePort();
  const home = await Deno.makeTempDir({ prefix: "rookery-nginx-" });
  const document = await Deno.readTextFile(new URL("../../docs/deployment.md", import.meta.url));
  const block = /```nginx\n([\s\S]*?)```/.exec(document)?.[1];
  if (!block) throw new Error("docs/deployment.md has no nginx block");
  const here = edit(block)
    .replace("127.0.0.1:8000", new URL(upstream).host)
    .replace(/listen 443 ssl;/, `listen 127.0.0.1:${port}; listen [::1]:${port};`)
    .replaceAll(/^ *ssl_certificate.*\n/gm, "");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${home}/data/${name};`).join("\n");
  // One process, so that it ends with the one that started it.
  await Deno.writeTextFile(
    `${home}/nginx.conf`,
    `daemon off;\nmaster_process off;\npid ${home}/nginx.pid;\nerror_log stderr warn;\n` +
      `events { worker_connections 4096; }\nhttp {\naccess_log off;\n${temporary}\n${here}}\n`,
  );
  return await launch({
    url: `http://127.0.0.1:${port}`,
    home,
    command: [nginx, "-e", "stderr", "-p", home, "-c", `${home}/nginx.conf`],
    prepare: () => emptyFolder(`${home}/data`),
    isReady: () => answers(port, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP"),
  });
}

export interface Plan {
  url: string;
  home: string;
  user?: { uid: number; gid: number };
  command: string[];
  stopSignal?: Deno.Signal;
  /** Creates the data folder again. */
  prepare: () => Promise<void>;
  isReady: () => Promise<boolean>;
}

const running = new Set<Deno.ChildProcess>();
globalThis.addEventListener("unload", () => running.forEach((child) => signal(child, "SIGKILL")));

/** Starts a server by its plan. It is ready when this resolves. */
export async function launch(plan: Plan): Promise<Server> {
  await plan.prepare();
  const log = `${plan.home}/log`;
  const start = async () => {
    const deadline = Date.now() + 20_000;
    while (true) {
      const [program, args] = boundToParent(plan.command);
      const child = new Deno.Command("sh", {
        args: ["-c", 'exec "$@" >>"$0" 2>&1', log, program, ...args],
        cwd: plan.home,
        stdin: "null",
        stdout: "null",
        stderr: "null",
        ...plan.user,
      }).spawn();
      running.add(child);
      let ended = false;
      const end = child.status.then(() => {
        ended = true;
        running.delete(child);
      });
      while (!ended && Date.now() < deadline) {
        if (await plan.isReady()) return { child, end };
        await sleep(25);
      }
      // Postgres refuses to start while children of a killed one still end.
      if (!ended || Date.now() > deadline) {
        signal(child, "SIGKILL");
        await end;
        const output = (await Deno.readTextFile(log).catch(() => "")).slice(-2000);
        throw new Error(`${plan.command[0]} did not start; its last words:\n${output}`);
      }
      await sleep(100);
    }
  };
  let now = await start();
  const kill = async () => {
    signal(now.child, "SIGKILL");
    await now.end;
  };
  const stop = async () => {
    signal(now.child, plan.stopSignal ?? "SIGTERM");
    signal(now.child, "SIGCONT");
    const timer = setTimeout(() => signal(now.child, "SIGKILL"), 5000);
    await now.end;
    clearTimeout(timer);
    await Deno.remove(plan.home, { recursive: true }).catch(() => {});
  };
  return {
    url: plan.url,
    get pid() {
      return now.child.pid;
    },
    kill,
    stop,
    async restart(options = {}) {
      await kill();
      if (options.wipe) await plan.prepare();
      now = await start();
    },
    signal: (name) => signal(now.child, name),
    [Symbol.asyncDispose]: stop,
  };
}

/** A command that is killed when its parent ends, also by SIGKILL, if the system supports it. */
export function boundToParent(command: string[], deathSignal = "KILL"): [program: string, args: string[]] {
  const setpriv = locate("setpriv");
  if (!setpriv) return [command[0]!, command.slice(1)];
  return [setpriv, ["--pdeathsig", deathSignal, "--", ...command]];
}

/** The path of an installed program. Throws where there is none. */
export function find(program: string): string {
  const path = locate(program);
  if (path) return path;
  throw new Error(`${program} is not installed: looked through PATH, /usr/sbin and /usr/lib/postgresql/*/bin`);
}

function locate(program: string): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":").concat("/usr/bin", "/usr/sbin", "/usr/local/bin");
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map((entry) => Number(entry.name));
    folders.push(...versions.sort((a, b) => b - a).map((version) => `/usr/lib/postgresql/${version}/bin`));
  } catch {
    // Not Debian, or no Postgres installed.
  }
  return folders.map((folder) => `${folder}/${program}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

const ANSWER_MS = 2_000;

/** A port of 127.0.0.1 that nobody listens on. */
export function freePort(): Promise<number> {
  return Promise.resolve(freePorts(1)[0]!);
}

function closeAfter(connection: Deno.Conn, ms: number): Disposable {
  const timer = setTimeout(() => connection.close(), ms);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Connects, sends `request`, and returns whether the answer begins with `expected`. */
export async function answers(port: number, request: string, expected: string): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    // Another program at this port may never answer.
    using _ = closeAfter(connection, ANSWER_MS);
    if (request) await connection.write(new TextEncoder().encode(request));
    const buffer = new Uint8Array(64);
    const size = await connection.read(buffer) ?? 0;
    return new TextDecoder().decode(buffer.subarray(0, size)).startsWith(expected);
  } catch {
    return false;
  }
}

export async function emptyFolder(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch(() => {});
  await Deno.mkdir(path, { recursive: true });
}

async function output(program: string, args: string[], user: { uid?: number; gid?: number }): Promise<void> {
  const result = await new Deno.Command(program, { args, cwd: "/", ...user }).output();
  if (!result.success) throw new Error(`${program} failed: ${new TextDecoder().decode(result.stderr)}`);
}

function signal(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch {
    // It has already ended.
  }
}
