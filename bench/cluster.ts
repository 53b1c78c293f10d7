import { partitionOf } from "../db/partitions.ts";
import { processCpuMs } from "./processor_time.ts";
import { type LoadRequest, repeating, type Row, say, signIn, WARM_UP_S, wrk } from "./harness.ts";
import { type Cluster, startCluster } from "../tests/support/cluster.ts";
import type { NodeProcess } from "../tests/support/node_process.ts";
import { fillWorld, uuidOf } from "./world.ts";

const PEOPLE = 200;
const READERS = 64;
const CONNECTIONS = 16;
const ROUNDS = 5;

/** Milliseconds of processor time an operation, by process. */
interface Cost {
  nodes: number[];
  nats: number;
  perSecond: number;
}

/**
 * What further nodes cost: processor time of a read at one node of two and of one alone, and of a post at the node that
 * has the page and at another. Processor time, because all nodes share this machine's processors.
 */
export async function benchCluster({ seconds }: { seconds: number }): Promise<Row[]> {
  const [alone] = await measured(1, (cluster, tokens) => byTurns([() => read(cluster, tokens, seconds)]));
  const [reading] = await measured(2, (cluster, tokens) => byTurns([() => read(cluster, tokens, seconds)]));
  const [own, other] = await measured(2, (cluster, tokens) => {
    const posts = (owner: number) => () => post(cluster, tokens, owner, seconds);
    return byTurns([posts(0), posts(1)]);
  });
  say(`  read ${describe(reading!)}, alone ${describe(alone!)}`);
  say(`  post at the page's node ${describe(own!)}, at another ${describe(other!)}`);
  return [
    costRow("GET /feed at one node of two, both nodes", total(reading!), total(alone!), 1.1),
    costRow("POST a text post at a node without the page, both nodes", total(other!), total(own!), 1.5),
  ];
}

async function measured<T>(nodes: number, work: (cluster: Cluster, tokens: string[]) => Promise<T>): Promise<T> {
  await using cluster = await startCluster(nodes, {}, { hasProxies: false });
  const [first] = cluster.nodes as [NodeProcess];
  await fillWorld(first.sql, { people: PEOPLE, posts: 20_000, follows: 50, readers: READERS });
  await first.sql.execute("vacuum analyze");
  return await work(cluster, await signIn(first.url, READERS));
}

/** Of each load its round in the middle, by the sum of its nodes. Rounds until the JIT is warm do not count. */
async function byTurns(loads: (() => Promise<Cost>)[]): Promise<Cost[]> {
  const costs: Cost[][] = loads.map(() => []);
  for (const end = Date.now() + WARM_UP_S * 1_000 * loads.length; Date.now() < end;) {
    for (const load of loads) await load();
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, load] of loads.entries()) costs[i]!.push(await load());
  }
  return costs.map((each) => each.toSorted((a, b) => total(a) - total(b))[ROUNDS >> 1]!);
}

async function read(cluster: Cluster, tokens: string[], seconds: number): Promise<Cost> {
  return await loaded(cluster, tokens.map((token) => ({ method: "GET", path: "/api/v1/feed", token })), seconds);
}

/** Posts at the first node to pages of the node with this index. */
async function post(cluster: Cluster, tokens: string[], owner: number, seconds: number): Promise<Cost> {
  const [first] = cluster.nodes as [NodeProcess];
  const owners = await first.sql.query<{ url: string }>(
    "select n.url from partitions p join nodes n on n.id = p.node order by p.id",
  );
  const requests = tokens.flatMap((token, i): LoadRequest[] => {
    const page = uuidOf("page", i + 1);
    if (owners[partitionOf(page)]!.url !== cluster.nodes[owner]!.url) return [];
    const json = JSON.stringify({ text: "A post of ordinary length, as people write it on an ordinary day." });
    return [{ method: "POST", path: `/api/v1/pages/${page}/posts`, token, json }];
  });
  return await loaded(cluster, requests, seconds);
}

/** At the first node. */
async function loaded(cluster: Cluster, requests: readonly LoadRequest[], seconds: number): Promise<Cost> {
  const pids = [...cluster.nodes.map(({ pid }) => pid), cluster.nats.pid];
  const script = repeating(requests);
  const url = cluster.nodes[0]!.url;
  const before = pids.map(processCpuMs);
  const { perSecond } = await wrk(url, { connections: CONNECTIONS, seconds, script });
  const costs = pids.map((pid, i) => (processCpuMs(pid) - before[i]!) / (perSecond * seconds));
  return { nodes: costs.slice(0, -1), nats: costs.at(-1)!, perSecond };
}

function total({ nodes }: Cost): number {
  return nodes.reduce((sum, ms) => sum + ms, 0);
}

function describe({ nodes, nats, perSecond }: Cost): string {
  const each = nodes.map((ms) => ms.toFixed(3)).join(" + ");
  return `${each} ms, NATS ${nats.toFixed(3)} ms, ${Math.round(perSecond)}/s`;
}

function costRow(what: string, ours: number, reference: number, max: number): Row {
  return {
    what,
    ours: `${ours.toFixed(3)} ms`,
    reference: `${reference.toFixed(3)} ms`,
    ratio: `${(ours / reference).toFixed(2)} ×`,
    target: `≤ ${max} ×`,
  };
}
