/** The last measured time of each file, for batches of equal length. */
import times from "./times.json" with { type: "json" };
import type { FileReport } from "./collect.ts";

const PATH = new URL("./times.json", import.meta.url);
/** The time of a file without a measurement. */
const UNKNOWN_MS = 3_000;

export function msOf(file: string): number {
  return (times as Record<string, number>)[file] ?? UNKNOWN_MS;
}

/** Keeps the times of files that did not run, and drops deleted files. */
export async function writeTimes(reports: FileReport[]): Promise<void> {
  const all: Record<string, number> = { ...times };
  for (const { file, ms } of reports) all[file] = Math.round(ms! / 100) * 100;
  const there = await Promise.all(
    Object.keys(all).map((file) => Deno.stat(new URL(`../../${file}`, import.meta.url)).then(() => true, () => false)),
  );
  const kept = Object.entries(all).filter((_, i) => there[i]).sort(([a], [b]) => a < b ? -1 : 1);
  await Deno.writeTextFile(PATH, JSON.stringify(Object.fromEntries(kept), null, 2) + "\n");
}
