/** A whole node as a process of its own, which a test may kill, stop and start again on the same data. */
import { connectPostgres } from "../../db/postgres.ts";
import type { Sql } from "../../db/sql.ts";
import { socketAddress } from "../../db/embedded/address.ts";
import { freshDatabase, freshDataDir, removeFolder } from "./database.ts";
import { ADMIN } from "./person.ts";
import { boundToParent } from "./servers.ts";
import { until } from "./wait.ts";

export const SECRET_KEY = "a secret key for tests, 32 characters or more";
const ROOT = new URL("../../", import.meta.url).pathname;
/** As `deno task start` has it, with its permissions: what they do not allow fails in tests as it would for people. */
export const START: readonly string[] = await startArguments();

export interface NodeProcessOptions {
  /** Over the settings that every node of a test has. */
  env?: Record<string, string>;
  /** On the run's servers; off for the embedded default, with a Postgres of its own. */
  full?: boolean;
}

export class NodeProcess implements AsyncDisposable {
  url = "";
  /** What it said, for a failure's message. */
  output = "";
  #child: Deno.ChildProcess | undefined;
  #ended: Promise<Deno.CommandStatus> | undefined;
  #sql: Sql | undefined;

  private constructor(
    readonly dataDir: string,
    private readonly env: Record<string, string>,
    private readonly folder: AsyncDisposable,
    private readonly before: readonly string[],
    private readonly command: readonly string[],
  ) {}

  static async start({ env = {}, full = true }: NodeProcessOptions = {}): Promise<NodeProcess> {
    const folder = full ? await emptyFolder() : await freshDataDir();
    const services: Record<string, string> = {};
    if (full) services.DATABASE_URL = await freshDatabase();
    for (const name of full ? ["REDIS", "NATS"] : []) {
      const url = Deno.env.get(`TEST_${name}_URL`);
      if (url) services[`${name}_URL`] = url;
    }
    return await NodeProcess.on(folder, { ...services, ...env });
  }

  /**
   * On servers and in a folder that the test has chosen. `before` is a command that becomes the node, as one that
   * changes the user.
   */
  static async on(
    folder: { path: string } & AsyncDisposable,
    env: Record<string, string>,
    before: readonly string[] = [],
    command: readonly string[] = [Deno.execPath(), ...START],
  ): Promise<NodeProcess> {
    const node = new NodeProcess(folder.path, settings(folder.path, env), folder, before, command);
    try {
      await node.restart();
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
    return node;
  }

  /** Its environment, for tasks that act on it. */
  get settings(): Readonly<Record<string, string>> {
    return this.env;
  }

  get pid(): number {
    return this.#child!.pid;
  }

  /** Past the node: for oracles, and to move its clocks. */
  get sql(): Sql {
    const url = this.env["DATABASE_URL"] ?? socketAddress(`${this.dataDir}/postgres`);
    return this.#sql ??= connectPostgres(url, { max: 2, applicationName: "test" });
  }

  /** Starts it on the data it has; resolves when it says that it is ready. */
  async restart(): Promise<void> {
    // A change of user forgets what binds it to this process.
    const [binding, bound] = boundToParent([...this.command]);
    const [program = "", ...args] = [...this.before, binding, ...bound];
    const child = new Deno.Command(program, {
      args,
      cwd: ROOT,
      env: this.env,
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.url = "";
    this.output = "";
    let ended = false;
    const reading = Promise.all([this.#read(child.stdout), this.#read(child.stderr)]);
    this.#ended = child.status.then(async (status) => {
      await reading;
      ended = true;
      return status;
    });
    await until("the node is ready", () => this.url !== "" || ended, { timeoutMs: 90_000 });
    if (this.url === "") throw new Error(`The node did not start; its last words:\n${this.output.slice(-2_000)}`);
  }

  /** SIGKILL; the data stays for `restart`. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#end();
  }

  /** SIGTERM; tells how it ended and in how many milliseconds. */
  async stop(): Promise<{ code: number; ms: number }> {
    const start = performance.now();
    this.signal("SIGTERM");
    const { code } = await this.#end();
    return { code, ms: performance.now() - start };
  }

  /** Suspends the process (SIGSTOP), but not what it has started, until `thaw`. */
  freeze(): void {
    this.signal("SIGSTOP");
  }

  thaw(): void {
    this.signal("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.folder[Symbol.asyncDispose]();
  }

  async #end(): Promise<Deno.CommandStatus> {
    await this.#sql?.[Symbol.asyncDispose]();
    this.#sql = undefined;
    return await this.#ended!;
  }

  signal(name: Deno.Signal): void {
    try {
      this.#child?.kill(name);
    } catch {
      // It has ended already.
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.output = (this.output + decoder.decode(chunk, { stream: true })).slice(-100_000);
      // A process of another role may have no address to tell.
      const ready = /^Rookery.* (?:is|are) ready(?: at (\S+))?\n/m.exec(this.output);
      if (ready && this.url === "") this.url = ready[1] ?? "nowhere";
    }
  }
}

/** Runs `main.ts` to its end, for starts that are refused. */
export async function runToEnd(
  dataDir: string,
  env: Record<string, string> = {},
): Promise<{ code: number; message: string }> {
  const [program, args] = boundToParent([Deno.execPath(), ...START]);
  const command = new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: settings(dataDir, env),
    clearEnv: true,
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  return { code, message: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

export async function emptyFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "rookery-test-" });
  return { path, [Symbol.asyncDispose]: () => removeFolder(path) };
}

function settings(dataDir: string, env: Record<string, string>): Record<string, string> {
  const kept = ["PATH", "HOME", "DENO_DIR", "TMPDIR", "LANG"].flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...Object.fromEntries(kept),
    DATA_DIR: dataDir,
    PORT: "0",
    SECRET_KEY,
    ADMIN_PASSWORD: ADMIN.password,
    RATE_LIMITS: "off",
    REQUIRE_VERIFIED_EMAIL: "false",
    LOG_LEVEL: "warn",
    ...env,
  };
}

async function startArguments(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`)) as {
    tasks: { start: { command: string } };
  };
  const [program, ...args] = tasks.start.command.split(" ");
  if (program !== "deno") throw new Error(`The task "start" runs ${program}`);
  return args;
}
