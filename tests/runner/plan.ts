/** Selects the files of a run, and divides them into batches. */
import { msOf } from "./times.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/**
 * What half a minute has room for: all that needs no server, who may do what, and one story on the embedded default.
 */
const FAST = ["tests/unit/", "tests/http/permissions_test.ts", "tests/http/posts_test.ts"];

/**
 * What runs once more on Postgres 15, the oldest one that may be used: migrations, statements, and what drivers
 * promise.
 */
const ON_POSTGRES_15 = [
  "tests/db/commit_statements_test.ts",
  "tests/conformance/kv_test.ts",
  "tests/db/list_plans_test.ts",
  "tests/db/search_migration_test.ts",
  "tests/db/statement_plans_test.ts",
  "tests/conformance/search_test.ts",
  "tests/conformance/sql_test.ts",
  "tests/http/posts_test.ts",
];

/** These count seconds of what keeps the machine busy: nothing runs beside them. */
const ALONE = [
  "tests/chaos/access_ends_test.ts",
  "tests/chaos/embedded_disk_full_test.ts",
  "tests/chaos/embedded_kill_test.ts",
  "tests/chaos/failover_test.ts",
  "tests/chaos/incomplete_bodies_test.ts",
  "tests/chaos/nodes_blocks_test.ts",
  "tests/chaos/receipts_test.ts",
  "tests/live/block_workload_test.ts",
];

/** These check everything that their process has started, so they have their own process. */
const OWN_PROCESS = [
  "tests/chaos/",
  "tests/http/stats_test.ts",
  "tests/services/mail/smtp_server_test.ts",
  "tests/services/storage/child_test.ts",
  "tests/services/vk/child_test.ts",
  // It replaces the clocks and timers of its process.
  "tests/unit/simulation_test.ts",
];

/** So many that each lane ends at about the same time, and so few that starting them costs little. */
const BATCH_MS = 25_000;

export interface Sets {
  fast?: boolean | undefined;
  tasks?: boolean | undefined;
  browser?: boolean | undefined;
  chaos?: boolean | undefined;
}

/** The name of the selected set. */
export function setOf({ fast, tasks, browser, chaos }: Sets): "fast" | "tasks" | "browser" | "chaos" | "test" {
  return fast ? "fast" : tasks ? "tasks" : browser ? "browser" : chaos ? "chaos" : "test";
}

export interface Batch {
  files: string[];
  postgres15: boolean;
}

export interface Plan {
  beside: Batch[];
  alone: Batch[];
}

export function isChosen(file: string, sets: Sets, words: readonly string[]): boolean {
  if (words.length > 0 && !words.some((word) => file.includes(word.replace(/^\.\//, "")))) return false;
  if (sets.fast) return FAST.some((path) => file.startsWith(path));
  const set = setOf(sets);
  if (set !== "test") return file.startsWith(`tests/${set}/`);
  return words.length > 0 || !/^tests\/(tasks|browser|chaos)\//.test(file);
}

export function planOf(files: string[], sets: Sets): Plan {
  const isAlone = (file: string) => ALONE.some((path) => file.startsWith(path));
  const isOwn = (file: string) => OWN_PROCESS.some((path) => file.startsWith(path));
  const beside = files.filter((file) => !isAlone(file));
  const older = setOf(sets) !== "test" ? [] : files.filter((file) => ON_POSTGRES_15.includes(file));
  return {
    beside: [
      ...[usesSharedNode, (file: string) => !usesSharedNode(file)].flatMap((fits) =>
        batchesOf(beside.filter((file) => !isOwn(file) && fits(file))).map((files) => ({ files, postgres15: false }))
      ),
      ...beside.filter(isOwn).map((file) => ({ files: [file], postgres15: false })),
      ...batchesOf(older).map((files) => ({ files, postgres15: true })),
    ].sort((a, b) => sum(b.files) - sum(a.files)),
    // A process of its own each, so that nothing of another file is still at work.
    alone: files.filter(isAlone).map((file) => ({ files: [file], postgres15: false })),
  };
}

/** Those that do are batched together, so that fewer batches start one. */
function usesSharedNode(file: string): boolean {
  return /\bsharedApp\(/.test(Deno.readTextFileSync(ROOT + file));
}

/** About equally long, each with its longest files first. */
export function batchesOf(files: string[], of: (file: string) => number = msOf): string[][] {
  const count = Math.min(files.length, Math.ceil(files.reduce((ms, file) => ms + of(file), 0) / BATCH_MS));
  const batches = Array.from({ length: count }, () => ({ files: [] as string[], ms: 0 }));
  for (const file of files.toSorted((a, b) => of(b) - of(a))) {
    const shortest = batches.reduce((a, b) => b.ms < a.ms ? b : a);
    shortest.files.push(file);
    shortest.ms += of(file);
  }
  return batches.map(({ files }) => files);
}

function sum(files: string[]): number {
  return files.reduce((ms, file) => ms + msOf(file), 0);
}
