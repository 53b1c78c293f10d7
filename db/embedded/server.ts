/**
 * The embedded Postgres: a server of this process in `<dataDir>/postgres`. It listens on a socket that only its owner
 * can reach, stops with this process for any reason, and is restarted when it exits.
 */
import { resolve } from "node:path";
import pg from "../pg.ts";
import type { Log } from "../../lib/log.ts";
import { fitsSocket, loopbackAddress, socketAddress, writeAddress } from "./address.ts";
import { type Binaries, findBinaries, linkLibraries } from "./binaries.ts";
import { checkCluster, clusterFolder, MAJOR, makeCluster } from "./cluster.ts";
import { guardArguments, initialiseArguments } from "./guard.ts";
import { type DataLock, lockData } from "./lock.ts";
import { awaitPredecessor } from "./predecessor.ts";
import { refusalOf } from "./refused.ts";
import { type RunAs, runAs } from "./run_as.ts";
import { settingArguments } from "./settings.ts";
import { backoff } from "../../lib/backoff.ts";
import { freePorts } from "../../lib/free_ports.ts";
import { sleep } from "../../lib/sleep.ts";

export interface EmbeddedPostgres extends AsyncDisposable {
  /** For `connectPostgres`, in any process of the same user. */
  readonly url: string;
}

export interface EmbeddedOptions {
  log?: Log;
  /** The lock of the data folder, if the caller has it. The caller keeps it. */
  lock?: DataLock;
  /** Overrides of the default settings. */
  settings?: Record<string, string>;
  /** The programs and the version of an older folder, to read it. */
  older?: { binaries: Binaries; major: number };
}

const READY_MS = 60_000;
const LOOK_MS = 8;
/** Time for an orderly shutdown; then the server is stopped at once. */
const STOP_MS = 8_000;
const RESTART_BACKOFF = backoff({ firstMs: 50, maxMs: 5_000 });
/** After this run time earlier failures no longer count. */
const WELL_MS = 30_000;
/** What Postgres reports while processes of a dead server remain. */
const STILL_LEAVING = /pre-existing shared memory block|lock file "[^"]*" (?:already exists|is empty)/;
const MAX_LOG_BYTES = 4 * 1024 * 1024;

/**
 * Starts the server of a data folder, creates its database at the first start, and locks the folder until it is closed
 * or the process ends. Throws `EmbeddedRefused`, with advice, if that is impossible; then nothing was changed.
 */
export async function startEmbedded(dataDir: string, options: EmbeddedOptions = {}): Promise<EmbeddedPostgres> {
  await using stack = new AsyncDisposableStack();
  if (!options.lock) stack.use(await lockData(dataDir));
  const server = new Server(resolve(dataDir), options);
  try {
    await server.start();
  } catch (error) {
    throw refusalOf(error, dataDir) ?? error;
  }
  stack.use(server);
  const running = stack.move();
  return { url: server.url, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

class Server implements AsyncDisposable {
  url = "";
  readonly #folder: string;
  readonly #binaries: Binaries;
  readonly #major: number;
  #as!: RunAs;
  /** The folder of the socket, if the path of the data folder is too long for one. */
  #socketFolder!: string;
  #password = "";
  #port = 0;
  #guard!: Deno.ChildProcess;
  /** Input of the guard: a line requests an orderly shutdown, its end an immediate one. */
  #input!: WritableStreamDefaultWriter<Uint8Array>;
  #ended!: Promise<number>;
  /** A setting that distinguishes the started server from one left behind at the same socket. */
  #mark = "";
  #closing = new AbortController();
  #tending: Promise<void> | undefined;

  constructor(private readonly dataDir: string, private readonly options: EmbeddedOptions) {
    this.#folder = clusterFolder(dataDir);
    this.#binaries = options.older?.binaries ?? findBinaries();
    this.#major = options.older?.major ?? MAJOR;
  }

  async start(): Promise<void> {
    const clusterOwner = this.options.older
      ? (await Deno.stat(this.#folder)).uid ?? undefined
      : await checkCluster(this.dataDir);
    this.#as = await runAs({ dataDir: this.dataDir, program: this.#binaries.postgres, clusterOwner });
    await linkLibraries(this.#binaries, `${this.dataDir}/postgres.lib`);
    await this.#choosePlace();
    if (clusterOwner === undefined) {
      this.options.log?.info("creating the embedded database", { folder: this.#folder });
      await makeCluster(this.dataDir, (draft) => this.#initialise(draft), this.#as);
    }
    await this.#trimLog();
    await this.#launch();
    await writeAddress(this.dataDir, this.url);
    this.#tending = this.#tend();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#stop();
    await this.#tending;
    if (this.#socketFolder !== this.#folder) await Deno.remove(this.#socketFolder, { recursive: true }).catch(() => {});
  }

  /**
   * A socket in the database folder, which only its owner may enter. On Windows the loopback interface and a password.
   */
  async #choosePlace(): Promise<void> {
    this.#socketFolder = this.#folder;
    if (Deno.build.os === "windows") {
      const file = `${this.dataDir}/postgres.password`;
      this.#password = await Deno.readTextFile(file).catch(() => "") || crypto.randomUUID();
      await Deno.writeTextFile(file, this.#password, { mode: 0o600 });
      [this.#port = 0] = freePorts(1);
      this.url = loopbackAddress(this.#port, this.#password);
      return;
    }
    if (!fitsSocket(this.#folder)) {
      this.#socketFolder = await Deno.makeTempDir({ prefix: "rookery-" });
      const { owner } = this.#as;
      if (owner) await Deno.chown(this.#socketFolder, owner.uid, owner.gid);
    }
    this.url = socketAddress(this.#socketFolder);
  }

  async #initialise(draft: string): Promise<{ success: boolean; output: string }> {
    const windows = Deno.build.os === "windows";
    const args = [
      ...["-D", draft, "-U", "rookery", "--encoding=UTF8", "--no-instructions"],
      // Text sorts the same on every machine, and the folder may move to one without this locale.
      ...["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
      ...windows ? ["--auth=scram-sha-256", `--pwfile=${this.dataDir}/postgres.password`] : ["--auth=trust"],
    ];
    const [program = "", ...words] = windows
      ? [this.#binaries.initdb, ...args]
      : [...this.#as.prefix, "sh", ...initialiseArguments(this.#libraryPath, [this.#binaries.initdb, ...args])];
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: words,
      cwd: windows ? this.dataDir : "/",
      clearEnv: !windows,
      env: this.#environment(),
      stdin: "null",
      ...this.#as.user,
    }).output();
    return { success, output: new TextDecoder().decode(stderr) || new TextDecoder().decode(stdout) };
  }

  get #libraryPath(): string {
    return `${this.dataDir}/postgres.lib:${this.#binaries.libraries}`;
  }

  get #log(): string {
    return `${this.#folder}/postgres.log`;
  }

  #environment(): Record<string, string> {
    return { PATH: Deno.env.get("PATH") ?? "", LC_ALL: "C", TZ: "UTC" };
  }

  /** Resolves when the server answers; throws otherwise. */
  async #launch(): Promise<void> {
    const deadline = performance.now() + READY_MS;
    for (;;) {
      await awaitPredecessor(this.#folder);
      const before = await this.#logSize();
      this.#spawn();
      if (await this.#answers(deadline)) return;
      await this.#stop();
      const words = await this.#lastWords(before);
      if (!STILL_LEAVING.test(words) || performance.now() > deadline || this.#closing.signal.aborted) {
        throw refusalOf(words, this.dataDir) ??
          new Error(`The embedded Postgres did not start; the end of "${this.#log}":\n${words}`);
      }
      await sleep(100, this.#closing.signal);
    }
  }

  #spawn(): void {
    const windows = Deno.build.os === "windows";
    this.#mark = crypto.randomUUID();
    const command = [
      this.#binaries.postgres,
      ...["-D", this.#folder],
      ...settingArguments(this.#major, {
        ...windows
          ? { listen_addresses: "127.0.0.1", port: String(this.#port) }
          : { listen_addresses: "", unix_socket_directories: this.#socketFolder, unix_socket_permissions: "0700" },
        "rookery.start": this.#mark,
        ...this.options.settings,
      }),
    ];
    const [program = "", ...args] = windows
      ? command
      : [...this.#as.prefix, "sh", ...guardArguments(this.#libraryPath, this.#log, command)];
    this.#guard = new Deno.Command(program, {
      args,
      cwd: windows ? this.dataDir : "/",
      clearEnv: !windows,
      env: this.#environment(),
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      // Ctrl-C is for Rookery, which still needs its database to shut down.
      detached: true,
      ...this.#as.user,
    }).spawn();
    this.#input = this.#guard.stdin.getWriter();
    this.#ended = this.#guard.status.then(({ code }) => code);
  }

  async #answers(deadline: number): Promise<boolean> {
    let ended = false;
    void this.#ended.then(() => ended = true);
    while (!ended && !this.#closing.signal.aborted && performance.now() < deadline) {
      const client = new pg.Client({ connectionString: this.url });
      client.on("error", () => {});
      try {
        await client.connect();
        const { rows } = await client.query("select current_setting('rookery.start', true) as mark");
        if (rows[0]?.mark === this.#mark) return true;
      } catch {
        // Not yet.
      } finally {
        await client.end().catch(() => {});
      }
      await sleep(LOOK_MS, this.#closing.signal);
    }
    return false;
  }

  /** Restarts the server whenever it exits, as on a full disk. What it acknowledged is durable. */
  async #tend(): Promise<void> {
    for (let failures = 0; !this.#closing.signal.aborted;) {
      const startedAt = performance.now();
      const code = await this.#ended;
      // If the guard alone was killed, Postgres still runs and watches this pipe.
      await this.#input.close().catch(() => {});
      if (this.#closing.signal.aborted) return;
      if (performance.now() - startedAt > WELL_MS) failures = 0;
      const pause = RESTART_BACKOFF(++failures);
      this.options.log?.error("embedded Postgres exited, restarting", { code, pause_ms: pause, log: this.#log });
      await sleep(pause, this.#closing.signal);
      try {
        if (this.#closing.signal.aborted) return;
        await this.#launch();
        this.options.log?.info("embedded Postgres restarted");
      } catch (error) {
        if (!this.#closing.signal.aborted) this.options.log?.error("embedded Postgres did not start", { error });
      }
    }
  }

  async #stop(): Promise<void> {
    const guard = this.#guard;
    if (!guard) return;
    if (Deno.build.os === "windows") return await this.#kill(guard);
    const input = this.#input;
    await input.write(new TextEncoder().encode("stop\n")).catch(() => {});
    const timer = setTimeout(() => input.close().catch(() => {}), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
    await input.close().catch(() => {});
  }

  async #kill(guard: Deno.ChildProcess): Promise<void> {
    try {
      guard.kill("SIGKILL");
    } catch {
      // It has exited already.
    }
    await this.#ended;
  }

  async #logSize(): Promise<number> {
    return await Deno.stat(this.#log).then(({ size }) => size, () => 0);
  }

  async #lastWords(from: number): Promise<string> {
    const text = await Deno.readTextFile(this.#log).catch(() => "");
    return text.slice(Math.min(from, text.length)).slice(-2_000).trim();
  }

  async #trimLog(): Promise<void> {
    if (await this.#logSize() > MAX_LOG_BYTES) await Deno.rename(this.#log, `${this.#log}.old`);
  }
}
