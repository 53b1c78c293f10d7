import { Stats } from "../../actors/stats.ts";
import { NatsBus } from "../../lib/bus/nats.ts";
import { sequencerState } from "../../db/events.ts";
import { ANSWER_MS, connectPostgres } from "../../db/postgres.ts";
import type { Sql } from "../../db/sql.ts";
import type { Log } from "../../lib/log.ts";
import type { MetricsEndpoint } from "../../lib/http/metrics_endpoint.ts";
import type { Metrics } from "../../lib/metrics/metrics.ts";
import { sampled, type Samples } from "../../lib/metrics/samples.ts";
import { serveHttp } from "../../lib/http/server.ts";
import { statsService } from "../../services/stats/service.ts";
import { StatsStore } from "../../services/stats/store.ts";
import { Verifier } from "../../services/stats/verifier.ts";
import { sleep, within } from "../../lib/sleep.ts";
import { roleMetrics, type RoleParts, running, type RunningRole } from "./role.ts";

const RETRY_MS = 500;
const CONNECTION = { max: 4, applicationName: "rookery-stats", answerWithinMs: ANSWER_MS };
/** Callers still connected after this time are dropped. */
const STOP_MS = 2_000;

export interface StatsServerOptions {
  host: string;
  /** 0 selects a free port. */
  port: number;
  /** The main database. */
  ledger: Sql;
  /** Postgres for its own tables, if not the main database. */
  databaseUrl?: string | undefined;
  natsUrl?: string | undefined;
  log: Log;
  /** Of the process. */
  metrics?: Metrics;
  /** Missing if `/metrics` is elsewhere. */
  metricsEndpoint?: MetricsEndpoint | undefined;
  accessLog?: boolean;
}

export interface StatsServer extends AsyncDisposable {
  port: number;
}

/** Serves the statistics and keeps them up to date, as soon as the databases are reachable. */
export async function startStatsServer(
  { host, port, ledger, databaseUrl, natsUrl, log, metrics, metricsEndpoint, accessLog = false }: StatsServerOptions,
): Promise<StatsServer> {
  await using stack = new AsyncDisposableStack();
  const own = databaseUrl === undefined ? ledger : stack.use(connectPostgres(databaseUrl, CONNECTION));
  const store = new StatsStore(own, own === ledger);
  metrics?.add(async () => [await lagSamples(store, ledger)]);
  const bus = natsUrl === undefined ? undefined : stack.use(new NatsBus(natsUrl, { log, name: "rookery-stats" }));
  const closed = new AbortController();
  const following = migrated(store, log, closed.signal).then(() =>
    closed.signal.aborted ? undefined : new Stats({ store, ledger, bus, log })
  );
  stack.defer(async () => await (await following)?.[Symbol.asyncDispose]());
  stack.defer(() => closed.abort());
  const { fetch } = statsService({ store, ledger, verifier: new Verifier(ledger), log, metrics: metricsEndpoint });
  const server = stack.use(serveHttp({ hostname: host, port, log, accessLog }, (request) => fetch(request)));
  stack.defer(async () => {
    await within(STOP_MS, server.shutdown());
  });
  const running = stack.move();
  return { port: server.addr.port, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Nothing while the statistics are to be rebuilt. */
async function lagSamples(store: StatsStore, ledger: Sql): Promise<Samples> {
  const [at, { epoch, seq }] = await Promise.all([store.position(), sequencerState(ledger)]);
  if (at?.epoch !== epoch) return [];
  return [sampled("gauge", "stats_lag_events", "Events that the statistics have not counted yet", seq - at.seq)];
}

/** Retries until its tables exist. */
async function migrated(store: StatsStore, log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      return await store.migrate();
    } catch (error) {
      log.warnOften("migrating the statistics tables failed, retrying", {}, { error });
      await sleep(RETRY_MS, signal);
    }
  }
}

/** `ROLES=stats`: the statistics service of a full installation. */
export async function statsRole({ config, log, metrics }: RoleParts): Promise<RunningRole> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    await startStatsServer({
      host: config.HOST,
      port: config.STATS_PORT,
      ledger: stack.use(connectPostgres(config.DATABASE_URL!, CONNECTION)),
      databaseUrl: config.STATS_DATABASE_URL,
      natsUrl: config.NATS_URL,
      log,
      metrics,
      metricsEndpoint: roleMetrics(config, metrics),
      accessLog: config.ACCESS_LOG,
    }),
  );
  return running(stack, `Rookery's statistics are ready at http://${config.HOST}:${server.port}`);
}
