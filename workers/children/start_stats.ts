import type { Log } from "../../lib/log.ts";
import { type Child, startChild } from "./start_child.ts";

export interface StatsChildOptions {
  log: Log;
  /** 0 selects a free port and keeps it over restarts. */
  port: number;
  databaseUrl: string;
  /** The database of its own tables. */
  ownDatabaseUrl?: string | undefined;
  natsUrl?: string | undefined;
  /** A failed first start is retried until this aborts. */
  retryStart: AbortSignal;
}

const MIGRATIONS = new URL("../../services/stats/migrations/", import.meta.url).pathname;

/** Starts the statistics service. */
export function startStatsChild(
  { log, port, databaseUrl, ownDatabaseUrl, natsUrl, retryStart }: StatsChildOptions,
): Promise<Child> {
  return startChild({
    name: "the statistics",
    entry: new URL("./stats.ts", import.meta.url),
    access: {
      env: "all",
      databases: [databaseUrl, ownDatabaseUrl].filter((url) => url !== undefined),
      services: [natsUrl].filter((url) => url !== undefined),
      read: [MIGRATIONS],
    },
    env: (port) => ({
      STATS_PORT: String(port),
      DATABASE_URL: databaseUrl,
      STATS_DATABASE_URL: ownDatabaseUrl ?? "",
      NATS_URL: natsUrl ?? "",
    }),
    port,
    retryStart,
    // Statistics may wait; requests may not.
    priority: "below",
    log,
  });
}
