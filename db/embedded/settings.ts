/** Settings of the embedded server, besides Postgres' defaults: small, local, and durable. */

/** For the node, its threads, the services and a few tasks. */
const MAX_CONNECTIONS = 100;

const SETTINGS: Record<string, string> = {
  max_connections: String(MAX_CONNECTIONS),
  // What was acknowledged is on disk.
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  // There are no replicas.
  wal_level: "minimal",
  max_wal_senders: "0",
  min_wal_size: "32MB",
  max_wal_size: "256MB",
  shared_buffers: "64MB",
  work_mem: "4MB",
  maintenance_work_mem: "32MB",
  huge_pages: "off",
  // Helper processes are useful on large machines only.
  io_method: "sync",
  max_worker_processes: "2",
  max_parallel_workers: "0",
  max_parallel_workers_per_gather: "0",
  max_parallel_maintenance_workers: "0",
  max_logical_replication_workers: "0",
  autovacuum_max_workers: "2",
  // Tables start empty and grow fast, so statistics must follow.
  autovacuum_naptime: "15s",
  jit: "off",
  timezone: "UTC",
  lc_messages: "C",
  // Logs the work of the server and why it stopped. Errors of statements go to the client, as they may contain user
  // data.
  log_min_messages: "log",
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
  log_checkpoints: "off",
  log_line_prefix: "%m [%p] ",
  log_timezone: "UTC",
};

/** Settings of Postgres 18; an older server would not start with them. */
const NEW_IN_18 = ["io_method"];

export function settingArguments(major: number, more: Record<string, string>): string[] {
  return Object.entries({ ...SETTINGS, ...more })
    .filter(([name]) => major >= 18 || !NEW_IN_18.includes(name))
    .flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
