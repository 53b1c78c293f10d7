import type { Log } from "../../../lib/log.ts";
import type { StorageSpec } from "../../storage/open.ts";
import { type CropEnd, CropProcess, CropProcessEnded } from "./process.ts";
import type { CropAnswer, CropTask } from "./task.ts";
import type { ImageEngine } from "../engine.ts";
import { residentBytes } from "../../../lib/process_info.ts";

export type CropOutcome =
  | CropAnswer
  | { id: string; ok: false; permanent: false; reason: CropEnd; message: string };

export interface CropSupervisorOptions {
  /** The module of the process: `workers/children/crop.ts`. */
  entry: URL;
  engine: ImageEngine["name"];
  storage: StorageSpec;
  log: Log;
  /** Limit of the process's resident memory, in bytes. Above it the process is killed. */
  maxMemory?: number;
  /** A new process is started after this many tasks. */
  tasksPerProcess?: number;
}

/** The most expensive accepted input, a WebP of 50 megapixels with alpha, needs 1 GiB. */
export const MAX_MEMORY_BYTES = 1.25 * 1024 ** 3;
const TASKS_PER_PROCESS = 500;
/** A process with more than this share of its memory in use while idle is replaced. */
const KEPT_SHARE = 0.4;

/**
 * Crops in a separate process, which is started by the first task and again after it has exited. Its time and, where
 * there is `/proc`, its memory are limited from here, since native code can be trusted with neither.
 */
export class CropSupervisor implements AsyncDisposable {
  #process: CropProcess | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(private readonly options: CropSupervisorOptions) {}

  /** The process id, if there is a process. */
  get pid(): number | undefined {
    return this.#process?.ended ? undefined : this.#process?.pid;
  }

  /**
   * Runs one task at a time. Never throws: if the process exits during a task, that is an outcome too, and what it has
   * stored stays. `timeoutMs` counts from the moment the process has the task.
   */
  run(task: CropTask, { timeoutMs }: { timeoutMs: number }): Promise<CropOutcome> {
    const outcome = this.#turn.then(() => this.#run(task, timeoutMs));
    this.#turn = outcome;
    return outcome;
  }

  /** Aborts a running task. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#process?.stop();
    await this.#turn;
  }

  async #run(task: CropTask, timeoutMs: number): Promise<CropOutcome> {
    const { entry, engine, storage, maxMemory = MAX_MEMORY_BYTES, tasksPerProcess = TASKS_PER_PROCESS, log } =
      this.options;
    try {
      if (this.#closed) throw new CropProcessEnded("crashed", "This process is stopping");
      // If it exited while idle, no task was affected.
      if (this.#process?.ended) await this.#end();
      const process = this.#process ??= new CropProcess(entry, engine, storage, maxMemory);
      const answer = await process.ask(task, timeoutMs);
      const held = residentBytes(process.pid) ?? 0;
      if (process.tasks >= tasksPerProcess || held > maxMemory * KEPT_SHARE) await this.#end();
      return answer;
    } catch (error) {
      this.#process = undefined;
      const reason = error instanceof CropProcessEnded ? error.reason : "crashed";
      const message = error instanceof Error ? error.message : String(error);
      if (!this.#closed) log.warn("crop process ended during a task", { task: task.id, reason, message });
      return { id: task.id, ok: false, permanent: false, reason, message };
    }
  }

  async #end(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    await process?.stop();
  }
}
