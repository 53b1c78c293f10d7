/**
 * The metrics that every Prometheus client has, under their standard names. `collectDefaultMetrics` of `prom-client`
 * cannot be used: it reads `/proc` through `node:fs`, which Deno allows only with all permissions.
 */
import process from "node:process";
import { ProcFiles } from "../proc_files.ts";
import { type Samples, standard } from "./samples.ts";

/** Values that the platform does not provide are left out. */
export function processSamples(): Samples {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, heapTotal, external } = Deno.memoryUsage();
  return [
    standard("counter", "process_cpu_user_seconds_total", "User CPU time of all threads", user / 1e6),
    standard("counter", "process_cpu_system_seconds_total", "System CPU time of all threads", system / 1e6),
    standard("counter", "process_cpu_seconds_total", "User and system CPU time of all threads", (user + system) / 1e6),
    standard(
      "gauge",
      "process_start_time_seconds",
      "Start of the process, in seconds since the Unix epoch",
      performance.timeOrigin / 1000,
    ),
    standard("gauge", "process_resident_memory_bytes", "Resident memory", rss),
    standard("gauge", "nodejs_heap_size_used_bytes", "Used heap of the main thread", heapUsed),
    standard("gauge", "nodejs_heap_size_total_bytes", "Allocated heap of the main thread", heapTotal),
    standard(
      "gauge",
      "nodejs_external_memory_bytes",
      "Memory of objects outside the heap of the main thread",
      external,
    ),
    ...kernelSamples(),
  ];
}

/** Only on Linux, with the permission to call the C library. */
function kernelSamples(): Samples {
  using files = ProcFiles.open();
  if (!files) return [];
  const virtual = /^VmSize:\s+(\d+) kB$/m.exec(files.read("/proc/self/status") ?? "")?.[1];
  const limit = /^Max open files\s+(\d+)/m.exec(files.read("/proc/self/limits") ?? "")?.[1];
  const open = files.names("/proc/self/fd").length;
  return [
    ...virtual === undefined
      ? []
      : [standard("gauge", "process_virtual_memory_bytes", "Virtual memory", Number(virtual) * 1024)],
    // Reading them opens one more.
    standard("gauge", "process_open_fds", "Open file descriptors", Math.max(0, open - 1)),
    ...limit === undefined
      ? []
      : [standard("gauge", "process_max_fds", "Maximum number of open file descriptors", Number(limit))],
  ];
}
