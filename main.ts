/** Starts a node: config → sql → cache → bus → leases → workers → routes → serve; stops it in reverse. */
import { type Config, ConfigError, readConfig } from "./config.ts";
import { EmbeddedRefused } from "./db/embedded/refused.ts";
import { Log } from "./lib/log.ts";
import { startNode } from "./workers/roles/node.ts";
import { runMailServer } from "./workers/roles/mail.ts";
import { runJobs } from "./workers/roles/jobs_process.ts";
import { runStatsServer } from "./workers/roles/stats.ts";
import { runKv } from "./workers/roles/kv.ts";
import { runStorage } from "./workers/roles/services.ts";

if (import.meta.main) await main();

async function main(): Promise<void> {
  if (Deno.args.length > 0) await readArguments();
  const config = configOrExit();
  const log = new Log(config.LOG_LEVEL);
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stopped.resolve());
  // A stray rejection of one request must not end what serves all others; what it was about has been answered or has timed out.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.error("something failed that nobody waited for", { error: event.reason });
  });
  try {
    if (!config.ROLES.includes("api")) {
      await runServices(config, log, stopped.promise);
      Deno.exit(0);
    }
    const node = await startNode(config, log, { onLost: stopped.reject });
    say(`Rookery is ready at ${node.url}`);
    const { vk } = node.ctx;
    if (vk?.fakeUrl) say(`VK is a fake, at ${vk.fakeUrl}; for the real one set VK_API_URL=https://api.vk.ru`);
    try {
      await stopped.promise;
    } finally {
      await node.stop();
    }
    Deno.exit(0);
  } catch (error) {
    // What the operator is to do stands by itself.
    if (!(error instanceof EmbeddedRefused)) log.error("the node cannot run", { error });
    if (error instanceof Error) Deno.stderr.writeSync(new TextEncoder().encode(`${error.message}\n`));
    Deno.exit(error instanceof EmbeddedRefused ? 2 : 1);
  }
}

/** Loaded only where there are arguments: help to give, or a mistake to name. */
async function readArguments(): Promise<void> {
  const { readCommandLine } = await import("./lib/command_line.ts");
  const { startCommand } = await import("./workers/roles/start_command.ts");
  readCommandLine(startCommand);
}

/** Roles that stand alone: what this process does without a node. */
async function runServices(config: Config, log: Log, stopped: Promise<void>): Promise<void> {
  const run = { mail: runMailServer, storage: runStorage, stats: runStatsServer, kv: runKv, jobs: runJobs };
  // Jobs start the mail server and the storage service that are theirs to start.
  const alone = config.ROLES.includes("jobs")
    ? ["stats", "kv", "jobs"] as const
    : ["mail", "storage", "stats", "kv"] as const;
  const roles = alone.filter((role) => config.ROLES.includes(role));
  await Promise.all(roles.map((role) => run[role](config, log, stopped)));
}

function configOrExit() {
  try {
    return readConfig(Deno.env.toObject());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    Deno.stderr.writeSync(new TextEncoder().encode(`${error.message}\n`));
    Deno.exit(2);
  }
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
