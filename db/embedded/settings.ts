/** What the embedded server runs with, on top of Postgres' defaults: small, local, and durable. */

/** Node, its threads, the services and a few tasks at once. */
const MAX_CONNECTIONS = 100;

const SETTINGS: Record<string, string> = {
  max_connections: String(MAX_CONNECTIONS),
  // What was acknowledged is on the disk.
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  // Nobody replicates from here.
  wal_level: "minimal",
  max_wal_senders: "0",
  min_wal_size: "32MB",
  max_wal_size: "256MB",
  shared_buffers: "64MB",
  work_mem: "4MB",
  maintenance_work_mem: "32MB",
  huge_pages: "off",
  // Processes that only a large machine has work for.
  io_method: "sync",
  max_worker_processes: "2",
  max_parallel_workers: "0",
  max_parallel_workers_per_gather: "0",
  max_parallel_maintenance_workers: "0",
  max_logical_replication_workers: "0",
  autovacuum_max_workers: "2",
  // Tables begin empty and grow at once: plans want to know of it.
  autovacuum_naptime: "15s",
  jit: "off",
  timezone: "UTC",
  lc_messages: "C",
  // What the server does, and why it ended; a statement's error is its caller's, and may hold what people wrote.
  log_min_messages: "log",
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
  log_checkpoints: "off",
  log_line_prefix: "%m [%p] ",
  log_timezone: "UTC",
};

/** Known to Postgres 18 only; an older server would not start with them. */
const NEW_IN_18 = ["io_method"];

export function settingArguments(major: number, more: Record<string, string>): string[] {
  return Object.entries({ ...SETTINGS, ...more })
    .filter(([name]) => major >= 18 || !NEW_IN_18.includes(name))
    .flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
