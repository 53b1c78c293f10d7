import { type Config, ConfigError, readConfig } from "../../config.ts";
import { EmbeddedRefused } from "../../db/embedded/refused.ts";
import { metricsEndpoint, serveMetrics } from "../../lib/http/metrics_endpoint.ts";
import { Metrics } from "../../lib/metrics/metrics.ts";
import { Log } from "../../lib/log.ts";
import { printLine } from "../../lib/write_text.ts";
import type { Role, RoleParts } from "./role.ts";

/** 2: the operator has to change the settings or the data folder. */
const EXIT = { stopped: 0, failed: 1, refused: 2 } as const;

/**
 * Runs a server process: settings, log, signals, then its roles concurrently, with one line per role that is ready.
 * Stops them on a signal or when one of them is lost. Never returns.
 */
export async function boot(rolesOf: (config: Config) => readonly Role[]): Promise<never> {
  const config = configOrExit();
  const log = new Log(config.LOG_LEVEL);
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stopped.resolve());
  // One request's stray rejection must not end the process. Its caller has been answered or has timed out.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.error("unhandled rejection", { error: event.reason });
  });
  try {
    const metrics = new Metrics();
    using _server = serveProcessMetrics(config, log, metrics);
    const parts = { config, log, metrics, onLost: stopped.reject };
    await Promise.all(rolesOf(config).map((role) => run(role, parts, stopped.promise)));
    Deno.exit(EXIT.stopped);
  } catch (error) {
    const refused = error instanceof EmbeddedRefused;
    // The message alone says what the operator has to do. Anything else is a line of the log.
    if (refused) printLine(error.message, Deno.stderr);
    else log.error("process failed", { error });
    Deno.exit(refused ? EXIT.refused : EXIT.failed);
  }
}

async function run(start: Role, parts: RoleParts, stopped: Promise<void>): Promise<void> {
  await using role = await start(parts);
  for (const line of role.ready) printLine(line);
  await stopped;
}

/** With `METRICS_PORT`: `/metrics` of all roles of the process. */
function serveProcessMetrics({ HOST, METRICS_PORT, METRICS_TOKEN }: Config, log: Log, metrics: Metrics): Disposable {
  if (METRICS_PORT === undefined) return { [Symbol.dispose]: () => {} };
  const server = serveMetrics({ hostname: HOST, port: METRICS_PORT, log }, metricsEndpoint(metrics, METRICS_TOKEN));
  printLine(`Metrics are at http://${HOST}:${server.addr.port}/metrics`);
  return server;
}

function configOrExit(): Config {
  try {
    return readConfig(Deno.env.toObject());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printLine(error.message, Deno.stderr);
    Deno.exit(EXIT.refused);
  }
}
