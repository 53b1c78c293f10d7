/** Ticks a second in `/proc`, the same on every Linux that Deno runs on. */
const TICK_MS = 10;

/** Milliseconds of processor time that a running process has used, over all its threads. */
export function processCpuMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // After the name, which may contain anything; utime and stime are the fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
