import type { Log } from "../../lib/log.ts";
import type { StorageSpec } from "../storage/open.ts";
import { type CropEnd, CropProcess, CropProcessEnded } from "./crop_process.ts";
import type { CropAnswer, CropTask } from "./crop_task.ts";
import type { ImageEngine } from "./engine.ts";
import { residentBytes } from "../../lib/process_info.ts";

export type CropOutcome =
  | CropAnswer
  | { id: string; ok: false; permanent: false; reason: CropEnd; message: string };

export interface CropChildOptions {
  /** The program of the process: `workers/children/crop.ts`. */
  entry: URL;
  engine: ImageEngine["name"];
  storage: StorageSpec;
  log: Log;
  /** Of the process, resident, in bytes; over it, it is killed. */
  maxMemory?: number;
  /** After so many tasks a new process takes over. */
  tasksPerProcess?: number;
}

/** The worst that is taken, a WebP of 50 megapixels with alpha, needs 1 GiB. */
const MAX_MEMORY_BYTES = 1.25 * 1024 ** 3;
const TASKS_PER_PROCESS = 500;
/** A process that holds more of its memory without a task is not kept. */
const KEPT_SHARE = 0.4;

/**
 * Crops in a process of its own, which the first task starts, and the next one after each end. Its time and, where there is
 * `/proc`, its memory are watched from here, as native code can be trusted with neither.
 */
export class CropChild implements AsyncDisposable {
  #process: CropProcess | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(private readonly options: CropChildOptions) {}

  /** Of the process, while there is one. */
  get pid(): number | undefined {
    return this.#process?.ended ? undefined : this.#process?.pid;
  }

  /**
   * One after another. Never throws: what the process does not live to answer is an outcome too; what it has put by then stays.
   * `timeoutMs` counts from the moment the task is the process's.
   */
  run(task: CropTask, { timeoutMs }: { timeoutMs: number }): Promise<CropOutcome> {
    const outcome = this.#turn.then(() => this.#run(task, timeoutMs));
    this.#turn = outcome;
    return outcome;
  }

  /** A task under way is broken off. */
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
      // One that ended without a task has done no harm.
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
      if (!this.#closed) log.warn("a crop process ended amid its work", { task: task.id, reason, message });
      return { id: task.id, ok: false, permanent: false, reason, message };
    }
  }

  async #end(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    await process?.stop();
  }
}
