/** Everything besides nodes: one process for all other roles, and the fake VK in this one. */
import type { Config } from "../../config.ts";
import project from "../../deno.json" with { type: "json" };
import { startFakeServer } from "../../services/vk/fake/server.ts";
import { KeptProcess } from "./kept_process.ts";
import { freePorts } from "../../lib/free_ports.ts";

/** As `deno task start`, with its permissions. */
export const START = [Deno.execPath(), ...project.tasks.start.command.split(" ").slice(1)];
const RESTART_MS = 1_000;
const CHECK_MS = 2_000;

interface ServiceOptions {
  config: Config;
  /** Settings that nodes have, too. */
  env: Record<string, string>;
  /** For the log. */
  folder: string;
  /** The API, by the proxy. */
  apiUrl: string;
  /** The services stop with it. */
  stack: AsyncDisposableStack;
  /** Shows a line. */
  note: (line: string) => void;
}

/** Starts the services of the roles besides `api,actors`. Returns the settings by which nodes reach them. */
export async function startServices(
  { config: { S3_URL, STORAGE_URL, VK_API_URL }, env, folder, apiUrl, stack, note }: ServiceOptions,
): Promise<Record<string, string>> {
  const [storage = 0, stats = 0, kv = 0] = freePorts(3);
  const at = (port: number) => `http://127.0.0.1:${port}`;
  const checks = [`${at(kv)}/readyz`, `${at(stats)}/healthz`];
  if (S3_URL === undefined && STORAGE_URL === undefined) checks.push(`${at(storage)}/healthz`);
  stack.use(
    await KeptProcess.start({
      name: "The process with the services",
      command: START,
      env: {
        ...env,
        ROLES: "jobs,storage,mail,stats,kv",
        STORAGE_PORT: String(storage),
        STATS_PORT: String(stats),
        PORT: String(kv),
        API_URL: apiUrl,
      },
      log: `${folder}/services.log`,
      isReady: async () => (await Promise.all(checks.map(isOk))).every((ok) => ok),
      restartMs: RESTART_MS,
      onEnd: () => note("The process with the services ended; it starts again"),
    }),
  );
  return {
    STORAGE_URL: STORAGE_URL ?? at(storage),
    STATS_URL: at(stats),
    KV_URL: at(kv),
    VK_API_URL: VK_API_URL ?? stack.use(await startFakeServer({ port: 0 })).url,
  };
}

async function isOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(CHECK_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
