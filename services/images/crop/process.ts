import { z } from "zod";
import type { StorageSpec } from "../../storage/open.ts";
import { cropPermissions } from "./permissions.ts";
import { CROP_FAILURES, type CropAnswer, type CropTask } from "./task.ts";
import type { ImageEngine } from "../engine.ts";
import { lines } from "../../../lib/ndjson.ts";
import { lowerPriority, residentBytes } from "../../../lib/process_info.ts";

/** What Deno needs to find its cache and to trust an https storage. The process itself cannot read these variables. */
const PASSED_ON = ["HOME", "DENO_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "DENO_CERT", "DENO_TLS_CA_STORE"];
/** libvips prints no warnings, decodes in memory, where it is limited, and keeps little freed memory. */
const LIBVIPS = { MALLOC_ARENA_MAX: "2", VIPS_WARNING: "0", VIPS_DISC_THRESHOLD: "8g" };
const ENCODER = new TextEncoder();
const SAMPLE_MS = 100;
const START_MS = 15_000;
const STOP_MS = 1_000;

/** Malicious input may control the process, so its answers are validated. */
const ANSWER = z.discriminatedUnion("ok", [
  z.object({
    id: z.string(),
    ok: z.literal(true),
    photo: z.object({
      format: z.enum(["jpeg", "webp"]),
      side: z.int().positive(),
      bytes: z.int().positive(),
      variants: z.array(z.int().positive()).max(8),
      placeholder: z.string().max(200),
    }),
  }),
  z.object({
    id: z.string(),
    ok: z.literal(false),
    permanent: z.boolean(),
    reason: z.enum(CROP_FAILURES),
    message: z.string(),
  }),
]);

/** How a process ended without an answer. */
export type CropEnd = "timed-out" | "out-of-memory" | "crashed";

export class CropProcessEnded extends Error {
  override readonly name = "CropProcessEnded";
  constructor(readonly reason: CropEnd, message: string) {
    super(message);
  }
}

/** A process of `workers/children/crop.ts`. It ends with its standard input, so it never outlives this one. */
export class CropProcess {
  tasks = 0;
  ended = false;
  #process: Deno.ChildProcess;
  #input: WritableStreamDefaultWriter<Uint8Array>;
  #output: AsyncGenerator<string, void>;
  #ready: Promise<void>;
  #killed: CropProcessEnded | undefined;

  constructor(entry: URL, engine: ImageEngine["name"], storage: StorageSpec, private readonly maxMemory: number) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", ...cropPermissions(engine, storage), entry.href],
      clearEnv: true,
      env: {
        ...LIBVIPS,
        ...Object.fromEntries(PASSED_ON.flatMap((name) => {
          const value = Deno.env.get(name);
          return value === undefined ? [] : [[name, value]];
        })),
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    void this.#process.status.then(() => this.ended = true);
    this.#input = this.#process.stdin.getWriter();
    this.#output = lines(this.#process.stdout);
    this.#ready = this.#greet({ engine, storage });
    // The first request reports it.
    this.#ready.catch(() => {});
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Throws `CropProcessEnded`; then the process has exited. */
  async ask(task: CropTask, timeoutMs: number): Promise<CropAnswer> {
    const sampling = setInterval(() => {
      const bytes = residentBytes(this.pid) ?? 0;
      if (bytes > this.maxMemory) this.#kill("out-of-memory", `${bytes} bytes exceed ${this.maxMemory}`);
    }, SAMPLE_MS);
    try {
      await this.#ready;
      this.tasks++;
      return await this.#within(timeoutMs, async () => {
        await this.#write(task);
        const answer = ANSWER.parse(await this.#read());
        if (answer.id !== task.id) throw new Error(`Expected an answer to "${task.id}", got one to "${answer.id}"`);
        return answer;
      });
    } catch (error) {
      this.#kill("crashed", error instanceof Error ? error.message : String(error));
      await this.stop();
      throw this.#killed;
    } finally {
      clearInterval(sampling);
    }
  }

  /** Also during a task. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#kill("timed-out", `Did not stop within ${STOP_MS} ms`), STOP_MS);
    await this.#input.close().catch(() => {});
    await this.#process.status;
    clearTimeout(timer);
    await this.#output.return().catch(() => {});
  }

  async #greet(greeting: unknown): Promise<void> {
    await this.#within(START_MS, async () => {
      await this.#write(greeting);
      await this.#read();
      lowerPriority(this.pid, "lowest");
    });
  }

  async #within<T>(ms: number, work: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.#kill("timed-out", `No answer within ${ms} ms`), ms);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Readers see the end of the stream; this keeps the first reason. */
  #kill(reason: CropEnd, message: string): void {
    this.#killed ??= new CropProcessEnded(reason, message);
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has exited already.
    }
  }

  async #write(value: unknown): Promise<void> {
    await this.#input.write(ENCODER.encode(`${JSON.stringify(value)}\n`));
  }

  async #read(): Promise<unknown> {
    const { value, done } = await this.#output.next();
    if (done) throw new Error("The process exited");
    return JSON.parse(value);
  }
}
