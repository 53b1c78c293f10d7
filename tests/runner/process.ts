/** One test process, which runs the files of a batch. */
import { boundToParent, TEST_LOCK } from "../support/servers.ts";
import type { FileReport } from "./collect.ts";
import { Block, linesOf, plain } from "./output.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const BATCH = new URL("./batch.ts", import.meta.url).pathname;

export interface Counts {
  passed: number;
  failed: number;
  ignored: number;
}

export interface Outcome {
  counts: Counts;
  /** Names of the tests that failed. */
  failures?: string[];
  /** Reports of the files that finished. */
  reports: FileReport[];
  /** Files that did not run because the process died. */
  left: string[];
}

export interface Work {
  env: Record<string, string>;
  filter: string | undefined;
  running: Set<Deno.ChildProcess>;
}

export async function runFiles(files: string[], { env, filter, running }: Work): Promise<Outcome> {
  const reportPath = await Deno.makeTempFile({ prefix: "rookery-tests-" });
  try {
    const [program, args] = boundToParent([Deno.execPath(), "test", "-A", "--no-check", TEST_LOCK, BATCH]);
    const child = new Deno.Command(program, {
      args,
      cwd: ROOT,
      env: {
        ...env,
        TEST_FILES: JSON.stringify(files),
        TEST_REPORT: reportPath,
        ...(filter === undefined ? {} : { TEST_FILTER: filter }),
        ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }),
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    running.add(child);
    const block = new Block();
    const failures: string[] = [];
    const summaries = await Promise.all([
      follow(child.stdout, block, failures),
      follow(child.stderr, block, failures),
    ]);
    const { success } = await child.status;
    running.delete(child);
    block.flush();
    return { ...outcomeOf(files, success, summaries[0] ?? summaries[1], await reportsIn(reportPath)), failures };
  } finally {
    await Deno.remove(reportPath);
  }
}

/** A process that died has no summary: finished files count as reported, and the current file as one failure. */
export function outcomeOf(
  files: string[],
  success: boolean,
  summary: Counts | undefined,
  reports: FileReport[],
): Outcome {
  const ended = reports.filter(({ ms }) => ms !== undefined);
  const begun = new Set(reports.map(({ file }) => file));
  // If no file has begun, a retry would not help.
  const left = success || begun.size === 0 ? [] : files.filter((file) => !begun.has(file));
  if (summary && (success || summary.failed > 0)) return { counts: summary, reports: ended, left };
  const counts = { passed: 0, failed: 1, ignored: 0 };
  for (const report of ended) {
    counts.passed += report.passed;
    counts.failed += report.failed;
    counts.ignored += report.ignored;
  }
  return { counts, reports: ended, left };
}

async function reportsIn(path: string): Promise<FileReport[]> {
  const text = await Deno.readTextFile(path);
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as FileReport);
}

/**
 * Prints the output, and parses its last line, like `FAILED | 4 passed (2 steps) | 1 failed | 3 ignored (5s)`.
 */
async function follow(
  output: ReadableStream<Uint8Array>,
  block: Block,
  failures: string[],
): Promise<Counts | undefined> {
  let summary: Counts | undefined;
  for await (const line of linesOf(output)) {
    block.push(line);
    summary = countsIn(plain(line)) ?? summary;
    // Deno lists them after the last test.
    const [, failed] = /^(\S.*?)(?: => \.\/\S+)$/.exec(plain(line)) ?? [];
    if (failed !== undefined && !failures.includes(failed)) failures.push(failed);
  }
  return summary;
}

function countsIn(line: string): Counts | undefined {
  if (!/^(ok|FAILED) \| \d+ passed.* \(\S+\)$/.test(line)) return undefined;
  const counts: Counts = { passed: 0, failed: 0, ignored: 0 };
  for (const [, number, what] of line.matchAll(/(\d+) (passed|failed|ignored)/g)) {
    counts[what as keyof Counts] += Number(number);
  }
  return counts;
}
