import { permissionsFor } from "../../db/embedded/address.ts";
import type { Log } from "../../lib/log.ts";
import { startChildProcess } from "../../lib/child_process.ts";

export interface StatsChild extends AsyncDisposable {
  url: string;
}

export interface StatsChildOptions {
  log: Log;
  /** 0 takes a free one, and keeps it over restarts. */
  port: number;
  apiUrl: string;
  databaseUrl: string;
  /** For its own tables. */
  ownDatabaseUrl?: string | undefined;
  natsUrl?: string | undefined;
  /** Until it aborts, a first start that fails is tried again. */
  retryStart: AbortSignal;
}

/** Runs the statistics as a process of its own, which ends with this one and is started anew when it dies. */
export async function startStatsChild(
  { log, port, apiUrl, databaseUrl, ownDatabaseUrl, natsUrl, retryStart }: StatsChildOptions,
): Promise<StatsChild> {
  const databases = permissionsFor([databaseUrl, ...ownDatabaseUrl === undefined ? [] : [ownDatabaseUrl]]);
  const others = [apiUrl, natsUrl].filter((url) => url !== undefined);
  const net = new Set(["127.0.0.1", ...others.map((url) => new URL(url).hostname), ...databases.net]);
  const { files } = databases;
  const child = await startChildProcess({
    name: "the statistics",
    entry: new URL("./stats.ts", import.meta.url),
    permissions: [
      ...["--allow-env", "--allow-sys=hostname", `--allow-net=${[...net].join(",")}`],
      `--allow-read=${[new URL("../../services/stats/migrations/", import.meta.url).pathname, ...files].join(",")}`,
      ...files.length > 0 ? [`--allow-write=${files.join(",")}`] : [],
    ],
    env: (port) => ({
      STATS_PORT: String(port),
      API_URL: apiUrl,
      DATABASE_URL: databaseUrl,
      STATS_DATABASE_URL: ownDatabaseUrl ?? "",
      NATS_URL: natsUrl ?? "",
    }),
    port,
    retryStart,
    // Numbers may wait where answers would have to.
    priority: "below",
    log,
  });
  return { url: `http://127.0.0.1:${child.port}`, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}
