/** A `deno task` command as a process of its own, with what it says at hand. */
import assert from "node:assert/strict";
import { boundToParent } from "./servers.ts";
import { until } from "./wait.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

export class TaskProcess implements AsyncDisposable {
  /** Both outputs, as they came. */
  output = "";
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<number>;

  /** `name` is the file in `tasks/`. */
  constructor(name: string, args: string[], env: Readonly<Record<string, string>> = {}) {
    const [program, more] = boundToParent([Deno.execPath(), "run", "-A", `tasks/${name}.ts`, ...args]);
    this.#child = new Deno.Command(program, {
      args: more,
      cwd: ROOT,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = Promise.all([this.#read(this.#child.stdout), this.#read(this.#child.stderr)]);
    this.#ended = this.#child.status.then(async ({ code }) => {
      await read;
      return code;
    });
  }

  /** Runs it to its end. */
  static async run(
    name: string,
    args: string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number; output: string }> {
    const task = new TaskProcess(name, args, env);
    return { code: await task.#ended, output: task.output };
  }

  /** One that has to succeed; tells what it said. */
  static async done(name: string, args: string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { code, output } = await TaskProcess.run(name, args, env);
    assert.equal(code, 0, output);
    return output;
  }

  async says(text: string | RegExp, timeoutMs = 30_000): Promise<void> {
    const isSaid = () => typeof text === "string" ? this.output.includes(text) : text.test(this.output);
    try {
      await until(`the task says ${text}`, isSaid, { timeoutMs });
    } catch (error) {
      throw new Error(`${error}; it said:\n${this.output}`);
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Returns the exit code. */
  async interrupt(signal: Deno.Signal = "SIGINT"): Promise<number> {
    this.#child.kill(signal);
    return await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#ended;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) this.output += chunk;
  }
}
