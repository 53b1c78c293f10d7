import { constants, setPriority } from "node:os";
import { ProcFiles, readProcFile } from "./proc_files.ts";

const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;

/** How much a process stands back behind those that answer people. */
export const PRIORITY = { below: PRIORITY_BELOW_NORMAL, lowest: PRIORITY_LOW } as const;

/** What a process holds in memory; `undefined` where that cannot be told: it is gone, or there is no `/proc`. */
export function residentBytes(pid: number): number | undefined {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readProcFile(`/proc/${pid}/status`) ?? "")?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/** Lets others go first. Linux counts priorities by thread: those that are there get it, later ones inherit it. */
export function lowerPriority(pid: number, priority: keyof typeof PRIORITY): void {
  for (const id of [pid, ...threadsOf(pid)]) {
    try {
      setPriority(id, PRIORITY[priority]);
    } catch {
      // Gone meanwhile, or not allowed here: it works all the same.
    }
  }
}

function threadsOf(pid: number): number[] {
  using files = ProcFiles.open();
  return (files?.names(`/proc/${pid}/task`) ?? []).map(Number);
}
