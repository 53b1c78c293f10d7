/** Starts a cluster on this machine and shows its nodes until a signal ends it. */
import { readCommandLine } from "../lib/command_line.ts";
import { sleep } from "../lib/sleep.ts";
import { Cluster } from "./cluster/cluster.ts";
import type { ClusterNode } from "./cluster/node.ts";
import { ProgramMissing } from "./cluster/servers.ts";
import { NodeTable } from "./cluster/table.ts";
import { cluster as command, MAX_NODES } from "./commands/cluster.ts";
import { millisecondsOf } from "./commands/values.ts";
import { configOrExit, exitCodeOf } from "./database.ts";
import { fail } from "./terminal.ts";

const SHOW_MS = 500;
const AGAIN_MS = 1_000;

const { nodes, port, chaos } = readCommandLine(command);
const config = configOrExit({ ROLES: "all" });
const table = new NodeTable();
const stop = new AbortController();
let endedAt = 0;
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(name, end);

try {
  await using cluster = await Cluster.start({
    config,
    nodes,
    port,
    note: (line) => table.note(line),
    signal: stop.signal,
  });
  table.note(`Rookery's cluster is ready at ${cluster.url}`);
  if (chaos) void killByTurns(cluster, millisecondsOf(chaos.every));
  if (Deno.stdin.isTerminal()) void readKeys(cluster);
  while (!stop.signal.aborted) {
    await show(cluster);
    await sleep(SHOW_MS, stop.signal);
  }
  table.note("Stopping");
} catch (error) {
  if (stop.signal.aborted) Deno.exit(0);
  if (error instanceof ProgramMissing) fail(error.message, 2);
  fail(`The cluster failed: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit(0);

/** The second time ends the task at once, and its processes with it. */
function end(): void {
  // Ctrl-C arrives twice: from the terminal and from `deno task`.
  if (stop.signal.aborted && performance.now() - endedAt > AGAIN_MS) Deno.exit(1);
  if (!stop.signal.aborted) endedAt = performance.now();
  stop.abort();
}

async function show(cluster: Cluster): Promise<void> {
  try {
    table.show(cluster.nodes, await cluster.directory());
  } catch {
    // Postgres is starting again.
  }
}

async function killByTurns(cluster: Cluster, everyMs: number): Promise<void> {
  for (;;) {
    await sleep(everyMs, stop.signal);
    if (stop.signal.aborted) return;
    kill(cluster);
  }
}

function kill(cluster: Cluster): void {
  const node = anyOf(cluster);
  if (!node) return;
  table.note(`Killing ${node.name} (pid ${node.pid})`);
  node.signal("SIGKILL");
}

/** A random node that answers. */
function anyOf({ nodes }: Cluster): ClusterNode | undefined {
  const running = nodes.filter(({ state }) => state !== "stopped" && state !== "starting");
  return running[Math.floor(Math.random() * running.length)];
}

async function readKeys(cluster: Cluster): Promise<void> {
  Deno.stdin.setRaw(true, { cbreak: true });
  globalThis.addEventListener("unload", () => Deno.stdin.setRaw(false));
  table.note("Keys: k kills a node, s stops one in order, a adds one, q ends the cluster");
  for await (const bytes of Deno.stdin.readable) {
    for (const key of new TextDecoder().decode(bytes)) press(cluster, key);
  }
}

function press(cluster: Cluster, key: string): void {
  if (key === "k") kill(cluster);
  else if (key === "q") end();
  else if (key === "a" && cluster.nodes.length < MAX_NODES) {
    table.note("Adding a node");
    cluster.add().catch((error) => table.note(error.message));
  } else if (key === "s") {
    const node = anyOf(cluster);
    if (!node) return;
    table.note(`Stopping ${node.name} (pid ${node.pid})`);
    node.signal("SIGTERM");
  }
}
