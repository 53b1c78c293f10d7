import { sleep, within } from "../../lib/sleep.ts";

export interface ProcessPlan {
  /** As in `node 2`. */
  name: string;
  command: readonly string[];
  /** Besides the environment of the task. */
  env?: Record<string, string>;
  /** The file that gets its output, emptied at the first start. */
  log: string;
  /** Whether it answers. */
  isReady: () => Promise<boolean>;
  /** How long after its end it is started again. */
  restartMs: number;
  /** It ended without being stopped. */
  onEnd?: (status: Deno.CommandStatus) => void;
}

const READY_MS = 120_000;
const LOOK_MS = 50;
/** A node stops within 10 seconds. Then it is killed. */
const STOP_MS = 15_000;
const LAST_WORDS = 2_000;

/**
 * The shell becomes the program, so both have one process id. Its child waits for a line, or for the end of the task
 * that holds the other end of the pipe: then it kills the program.
 */
const BOUND = `
log=$1
shift
exec 3<&0 </dev/null >>"$log" 2>&1
(read -r _ <&3 || kill -KILL $$) &
exec "$@" 3<&-
`;

/** A process that is started again when it ends, and that does not outlive this one. */
export class KeptProcess implements AsyncDisposable {
  #child: Deno.ChildProcess | undefined;
  #ended!: Promise<Deno.CommandStatus>;
  #closing = new AbortController();
  #keeping: Promise<void> | undefined;
  /** When it is started again. */
  restartsAt: number | undefined;

  protected constructor(readonly plan: ProcessPlan) {}

  /** Resolves when it answers. Throws with the end of its log if it ends before. */
  static async start(plan: ProcessPlan): Promise<KeptProcess> {
    const kept = new KeptProcess(plan);
    await kept.begin();
    return kept;
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  signal(name: Deno.Signal): void {
    try {
      this.#child?.kill(name);
    } catch {
      // It has ended already.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.signal("SIGTERM");
    if (await within(STOP_MS, this.#ended) === undefined) this.signal("SIGKILL");
    await this.#ended;
    await this.#keeping;
  }

  protected async begin(): Promise<void> {
    const { name, log, isReady } = this.plan;
    await Deno.writeTextFile(log, "");
    this.#spawn();
    let ended = false;
    void this.#ended.then(() => ended = true);
    const deadline = performance.now() + READY_MS;
    while (!await isReady()) {
      if (ended || performance.now() > deadline) {
        await this[Symbol.asyncDispose]();
        const words = await Deno.readTextFile(log).catch(() => "");
        throw new Error(`${name} did not start; the end of "${log}":\n${words.slice(-LAST_WORDS).trim()}`);
      }
      await sleep(LOOK_MS);
    }
    this.#keeping = this.#keep();
  }

  #spawn(): void {
    const { command, env = {}, log } = this.plan;
    const child = new Deno.Command("sh", {
      args: ["-c", BOUND, "rookery-cluster", log, ...command],
      cwd: new URL("../../", import.meta.url),
      env,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      // Ctrl-C is for the task, which stops everything in order.
      detached: true,
    }).spawn();
    this.#child = child;
    this.restartsAt = undefined;
    this.#ended = child.status.then(async (status) => {
      this.#child = undefined;
      // The id may soon belong to another process, which must not be killed.
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("\n")).catch(() => {});
      await writer.close().catch(() => {});
      return status;
    });
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const status = await this.#ended;
      if (signal.aborted) return;
      this.restartsAt = Date.now() + this.plan.restartMs;
      this.plan.onEnd?.(status);
      await sleep(this.plan.restartMs, signal);
      if (!signal.aborted) this.#spawn();
    }
  }
}
