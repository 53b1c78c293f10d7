import { sleep } from "../../lib/sleep.ts";
import { until } from "./wait.ts";
/** The processes of an embedded database, for tests that kill them. */

export interface ServerProcesses {
  postmaster: number;
  /** The shell between Rookery and Postgres. */
  guard: number;
  backends: number[];
}

/** All of Postgres that work in a data folder: postmasters, and what they started. */
export async function postgresOf(dataDir: string): Promise<number[]> {
  const folder = await Deno.realPath(`${dataDir}/postgres`);
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    if (await Deno.readLink(`/proc/${name}/cwd`).catch(() => "") === folder) found.push(Number(name));
  }
  return found;
}

/** The servers themselves, without what they started. */
export async function postmastersOf(dataDir: string): Promise<number[]> {
  const all = await postgresOf(dataDir);
  const parents = await Promise.all(all.map(parentOf));
  const commands = await Promise.all(all.map(commandOf));
  return all.filter((_, i) => !all.includes(parents[i]!) && /\/postgres -D /.test(commands[i]!));
}

export async function serverOf(dataDir: string): Promise<ServerProcesses> {
  return await until("one server runs", async () => {
    const masters = await postmastersOf(dataDir);
    const [postmaster] = masters;
    if (postmaster === undefined || masters.length !== 1) return false;
    const backends: number[] = [];
    for (const pid of await postgresOf(dataDir)) {
      if (/^postgres: rookery /.test(await commandOf(pid))) backends.push(pid);
    }
    return { postmaster, guard: await parentOf(postmaster), backends };
  });
}

/** Resolves when no Postgres works in the folder; tells how long that took. */
export async function awaitNoServer(dataDir: string, timeoutMs = 10_000): Promise<number> {
  const start = performance.now();
  await until("no server is left", async () => (await postgresOf(dataDir)).length === 0, { timeoutMs, everyMs: 5 });
  return performance.now() - start;
}

/**
 * Counts how often more than one server had the folder while `work` ran. One that is being refused by Postgres is none.
 */
export async function watchingServers(dataDir: string, work: () => Promise<void>): Promise<number> {
  let [stopped, twice, last] = [false, 0, ""];
  const watching = (async () => {
    while (!stopped) {
      const now = await postmastersOf(dataDir);
      if (now.length > 1 && now.join() === last) twice++;
      last = now.join();
      await sleep(20);
    }
  })();
  try {
    await work();
  } finally {
    stopped = true;
    await watching;
  }
  return twice;
}

export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}

async function parentOf(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

async function commandOf(pid: number): Promise<string> {
  return (await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "")).replaceAll("\0", " ");
}
