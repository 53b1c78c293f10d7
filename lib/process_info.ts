import { constants, setPriority } from "node:os";
import { ProcFiles, readProcFile } from "./proc_files.ts";

const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;

/** Priorities below the processes that answer people. */
export const PRIORITY = { below: PRIORITY_BELOW_NORMAL, lowest: PRIORITY_LOW } as const;

/** Resident memory of a process in bytes; `undefined` if the process has ended or there is no `/proc`. */
export function residentBytes(pid: number): number | undefined {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readProcFile(`/proc/${pid}/status`) ?? "")?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/** Lowers the priority of a process. Linux has priorities by thread: current threads get it, later ones inherit it. */
export function lowerPriority(pid: number, priority: keyof typeof PRIORITY): void {
  for (const id of [pid, ...threadsOf(pid)]) {
    try {
      setPriority(id, PRIORITY[priority]);
    } catch {
      // The process has ended, or the change is not permitted: it works anyway.
    }
  }
}

function threadsOf(pid: number): number[] {
  using files = ProcFiles.open();
  return (files?.names(`/proc/${pid}/task`) ?? []).map(Number);
}
