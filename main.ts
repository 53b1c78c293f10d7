/** Starts a node: config → sql → cache → bus → leases → workers → routes → serve; stops it in reverse. */
import { ConfigError, readConfig } from "./config.ts";
import { Log } from "./log.ts";
import { startNode } from "./node.ts";
import { runMailServer } from "./mail/server.ts";

if (import.meta.main) await main();

async function main(): Promise<void> {
  const config = configOrExit();
  const log = new Log(config.LOG_LEVEL);
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stopped.resolve());
  try {
    if (!config.ROLES.includes("api")) return await runMailServer(config, log, stopped.promise);
    const node = await startNode(config, log, { onLost: stopped.reject });
    say(`Rookery is ready at ${node.url}`);
    try {
      await stopped.promise;
    } finally {
      await node.stop();
    }
    Deno.exit(0);
  } catch (error) {
    log.error("the node cannot run", { error });
    if (error instanceof Error) Deno.stderr.writeSync(new TextEncoder().encode(`${error.message}\n`));
    Deno.exit(1);
  }
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
