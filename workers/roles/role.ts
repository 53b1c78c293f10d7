import type { Config } from "../../config.ts";
import type { Log } from "../../lib/log.ts";
import { type MetricsEndpoint, metricsEndpoint } from "../../lib/http/metrics_endpoint.ts";
import type { Metrics } from "../../lib/metrics/metrics.ts";
import { migrate } from "../../db/migrate.ts";
import { connectPostgres, type PostgresOptions } from "../../db/postgres.ts";
import type { Sql } from "../../db/sql.ts";

export interface RoleParts {
  config: Config;
  log: Log;
  /** Of the whole process. */
  metrics: Metrics;
  /** The process cannot continue. */
  onLost: (reason: Error) => void;
}

/** A role that is ready. Disposing stops its parts in order. */
export interface RunningRole extends AsyncDisposable {
  /** Lines for standard output: what is ready, and where. */
  ready: readonly string[];
}

/** Starts the role for one value of `ROLES`. A failure stops all parts that were started. */
export type Role = (parts: RoleParts) => Promise<RunningRole>;

/** Disposes of a role's stack when the role is disposed of. */
export function running(stack: AsyncDisposableStack, ...ready: string[]): RunningRole {
  const parts = stack.move();
  return { ready, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** `/metrics` at the port of a role; undefined if the process has a port for it. */
export function roleMetrics({ METRICS_PORT, METRICS_TOKEN }: Config, metrics: Metrics): MetricsEndpoint | undefined {
  return METRICS_PORT === undefined ? metricsEndpoint(metrics, METRICS_TOKEN) : undefined;
}

/** Connects to the database until the stack ends, and applies migrations. */
export async function openDatabase(
  { log, stack }: { log: Log; stack: AsyncDisposableStack },
  url: string,
  options: PostgresOptions,
): Promise<Sql> {
  const sql = stack.use(connectPostgres(url, options));
  const applied = await migrate(sql);
  if (applied.length > 0) log.info("migrations applied", { applied });
  return sql;
}
