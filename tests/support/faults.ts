/** The faults that a cluster of equal nodes has to survive. */
import { sleep } from "../../lib/sleep.ts";
import type { Cluster } from "./cluster.ts";
import type { Fault } from "./failover.ts";
import type { NodeProcess } from "./node_process.ts";
import type { Seeded } from "./seeded.ts";

/** Limits of the write gap. A lease lasts 2.5 s, and a busy machine adds to everything. */
const AFTER_LEASE_MS = 4_000;
const AT_ONCE_MS = 500;
const FROZEN_MS = 3_000;
const DATABASE_MS = 2_000;

/** `frozenMs`: how long a node is suspended. */
export function faults({ frozenMs }: { frozenMs: number }): Fault[] {
  return [
    {
      name: "`kill -9` of a node, started again",
      maxGapMs: AFTER_LEASE_MS,
      cause: async ({ nodes }, random) => {
        const node = random.pick(nodes);
        await node.kill();
        await sleep(3_500);
        await node.restart();
      },
    },
    {
      name: "SIGTERM of a node, started again",
      maxGapMs: AT_ONCE_MS,
      cause: async ({ nodes }, random) => await replace(random.pick(nodes)),
    },
    {
      name: "rolling restart of all nodes",
      maxGapMs: AT_ONCE_MS,
      cause: async ({ nodes }) => {
        for (const node of nodes) {
          await replace(node);
          await sleep(500);
        }
      },
    },
    {
      name: "SIGSTOP of a node beyond its lease, SIGCONT",
      maxGapMs: FROZEN_MS,
      cause: async ({ nodes }, random) => await freeze(random.pick(nodes), frozenMs),
    },
    {
      name: "SIGSTOP of a node for less than its lease, repeatedly",
      maxGapMs: FROZEN_MS,
      cause: async ({ nodes }, random) => {
        for (let i = 0; i < 3; i++) {
          await freeze(random.pick(nodes), random.whole(100, 2_400));
          await sleep(300);
        }
      },
    },
    ...SERVICE_FAULTS,
  ];
}

/** The services fail, the nodes do not. */
const SERVICE_FAULTS: Fault[] = [
  {
    name: "NATS killed, started again",
    maxGapMs: AT_ONCE_MS,
    cause: async ({ nats }) => {
      await nats.kill();
      await sleep(2_000);
      await nats.restart();
    },
  },
  {
    name: "NATS killed and wiped",
    maxGapMs: AT_ONCE_MS,
    cause: async ({ nats }) => await nats.restart({ wipe: true }),
  },
  {
    name: "a node cut off from NATS, connections reset",
    maxGapMs: AT_ONCE_MS,
    cause: async (cluster, random) => await cut(cluster, random, "refuse"),
  },
  {
    name: "a node cut off from NATS, packets swallowed",
    maxGapMs: AT_ONCE_MS,
    cause: async (cluster, random) => await cut(cluster, random, "swallow"),
  },
  {
    name: "Redis killed and wiped, started again",
    maxGapMs: AT_ONCE_MS,
    cause: async ({ redis }) => {
      await redis.kill();
      await sleep(1_500);
      await redis.restart({ wipe: true });
    },
  },
  {
    name: "Postgres killed, started again",
    maxGapMs: DATABASE_MS,
    endsDatabase: true,
    cause: async ({ postgres }) => {
      const start = performance.now();
      await postgres.restart();
      return performance.now() - start;
    },
  },
  {
    name: "all Postgres connections terminated, three times",
    maxGapMs: DATABASE_MS,
    endsDatabase: true,
    cause: async ({ nodes }) => {
      for (let i = 0; i < 3; i++) {
        await nodes[0]!.sql.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rookery%'",
        );
        await sleep(300);
      }
    },
  },
];

async function replace(node: NodeProcess): Promise<void> {
  const { code } = await node.stop();
  if (code !== 0) throw new Error(`The node ended with ${code}:\n${node.output.slice(-2_000)}`);
  await node.restart();
}

async function freeze(node: NodeProcess, ms: number): Promise<void> {
  node.signal("SIGSTOP");
  await sleep(ms);
  node.signal("SIGCONT");
}

async function cut({ proxies }: Cluster, random: Seeded, how: "refuse" | "swallow"): Promise<void> {
  const proxy = random.pick(proxies);
  proxy[how]();
  await sleep(3_000);
  proxy.pass();
}
