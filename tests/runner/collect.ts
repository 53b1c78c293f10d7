/**
 * Many test files in one process. `Deno.test` is replaced while a file is loaded: its tests have the file's name, its
 * `beforeAll` and `afterAll` apply to its own tests only, and its time is reported.
 */
import { processorMs } from "./processor_time.ts";

type Hook = () => unknown;
type Definition = Partial<Deno.TestDefinition>;

export interface FileReport {
  file: string;
  /** Absent if the file has only begun. */
  ms?: number;
  /** Processor time of this process and of the children it has waited for. */
  cpuMs?: number;
  passed: number;
  failed: number;
  ignored: number;
}

const register = Deno.test;

/** Loads a file and registers its tests whose names match. */
export async function collect(file: string, url: string, fits: (name: string) => boolean, report: Reporter) {
  const tests = new FileTests(file, report);
  replaceTest(tests.collector());
  try {
    await import(url);
  } catch (error) {
    tests.refuse(error);
  } finally {
    replaceTest(register);
  }
  tests.register(fits);
}

/** A plain property, although its type is read-only. */
function replaceTest(test: unknown): void {
  (Deno as { test: unknown }).test = test;
}

type Reporter = (report: FileReport) => void;

class FileTests {
  #tests: Definition[] = [];
  #hooks = { beforeAll: [] as Hook[], afterAll: [] as Hook[], beforeEach: [] as Hook[], afterEach: [] as Hook[] };
  #counts = { passed: 0, failed: 0, ignored: 0 };

  constructor(readonly file: string, readonly report: Reporter) {}

  collector() {
    const add = (more: Definition) => (...args: unknown[]) => void this.#tests.push({ ...definitionOf(args), ...more });
    return Object.assign(add({}), {
      ignore: add({ ignore: true }),
      beforeAll: (hook: Hook) => void this.#hooks.beforeAll.push(hook),
      beforeEach: (hook: Hook) => void this.#hooks.beforeEach.push(hook),
      // In Deno's order: the last one first.
      afterAll: (hook: Hook) => void this.#hooks.afterAll.unshift(hook),
      afterEach: (hook: Hook) => void this.#hooks.afterEach.unshift(hook),
    });
  }

  /** The file could not be loaded: a failure, under any filter. */
  refuse(error: unknown): void {
    this.#hooks.beforeAll = [];
    this.#tests = [{ name: "loads", fn: () => Promise.reject(error) }];
  }

  register(fits: (name: string) => boolean): void {
    const chosen = this.#tests.filter(({ name = "" }) => name === "loads" || fits(name));
    const live = chosen.filter(({ ignore }) => !ignore);
    this.#counts.ignored = chosen.length - live.length;
    if (live.length === 0) this.report({ file: this.file, ms: 0, cpuMs: 0, ...this.#counts });
    const label = this.file.replace(/^tests\//, "").replace(/\.ts$/, "");
    for (const test of chosen) {
      const place = { isFirst: test === live[0], isLast: test === live.at(-1) };
      register({ ...test, name: `${label}: ${test.name}`, fn: (context) => this.#run(test, context, place) });
    }
  }

  #broken: unknown;
  #begun = { ms: 0, cpuMs: 0 };

  async #run(test: Definition, context: Deno.TestContext, { isFirst, isLast }: { isFirst: boolean; isLast: boolean }) {
    if (isFirst) await this.#begin();
    let failed = true;
    try {
      // Without its setup every test of the file fails.
      if (this.#broken !== undefined) throw this.#broken;
      for (const hook of this.#hooks.beforeEach) await hook();
      try {
        await test.fn!(context);
      } finally {
        for (const hook of this.#hooks.afterEach) await hook();
      }
      failed = false;
    } finally {
      this.#counts[failed ? "failed" : "passed"]++;
      if (isLast) await this.#end();
    }
  }

  async #begin(): Promise<void> {
    this.report({ file: this.file, ...this.#counts });
    this.#begun = { ms: performance.now(), cpuMs: processorMs() };
    try {
      for (const hook of this.#hooks.beforeAll) await hook();
    } catch (error) {
      this.#broken = error;
    }
  }

  async #end(): Promise<void> {
    try {
      for (const hook of this.#hooks.afterAll) await hook();
    } finally {
      const ms = Math.round(performance.now() - this.#begun.ms);
      this.report({ file: this.file, ms, cpuMs: processorMs() - this.#begun.cpuMs, ...this.#counts });
    }
  }
}

/** The definition of a test in any form of `Deno.test`. */
function definitionOf(args: unknown[]): Definition {
  const definition: Definition = {};
  for (const arg of args) {
    if (typeof arg === "string") definition.name = arg;
    else if (typeof arg === "function") definition.fn = arg as Deno.TestDefinition["fn"];
    else Object.assign(definition, arg);
  }
  definition.name ??= definition.fn?.name ?? "";
  return definition;
}
