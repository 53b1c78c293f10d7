import { partitionOf } from "../db/partitions.ts";
import { type Cluster, startCluster } from "../tests/support/cluster.ts";
import type { NodeProcess } from "../tests/support/node_process.ts";
import { parseMetrics, valueOf } from "../tests/support/prometheus.ts";
import { sleep } from "../lib/sleep.ts";
import { type LoadRequest, repeating, type Row, say, signIn, WARM_UP_S, wrk } from "./harness.ts";
import { fillWorld, uuidOf } from "./world.ts";

const PEOPLE = 400;
/** Over all nodes. */
const CONNECTIONS = 64;
const NODES = [1, 2, 4];
const LOOK_MS = 5;

interface Commits {
  postsPerSecond: number;
  /** Turns that share a statement, on average. */
  turns: number;
  /** Statements that wait for a lock, on average: nearly always for the sequencer's row. */
  waiting: number;
  /** Milliseconds from the start of a statement to its end. */
  statementMs: number;
}

/**
 * What more nodes change at the one row that all commits with events lock: durable posts of 1, 2 and 4 nodes, each
 * loaded with posts to its own pages. All share this machine, so the rate cannot grow; what shows is whether the row
 * bounds it.
 */
export async function benchSequencer({ seconds }: { seconds: number }): Promise<Row[]> {
  const found: Commits[] = [];
  for (const count of NODES) {
    await using cluster = await startCluster(count, {}, { fsync: true, hasProxies: false });
    found.push(await commits(cluster, seconds));
    const { postsPerSecond, turns, waiting, statementMs } = found.at(-1)!;
    const numbers = [`${turns.toFixed(1)} turns a statement`, `${statementMs.toFixed(2)} ms a statement`];
    say(
      `  ${count} nodes: ${Math.round(postsPerSecond)} posts/s, ${numbers.join(", ")}, ${waiting.toFixed(2)} waiting`,
    );
  }
  const [one] = found as [Commits];
  return found.map((each, i) => ({
    what: `durable posts of ${NODES[i]} nodes on one machine, ${CONNECTIONS} clients`,
    ours: `${Math.round(each.postsPerSecond)}/s`,
    reference: `${Math.round(one.postsPerSecond)}/s`,
    ratio: `${(each.postsPerSecond / one.postsPerSecond).toFixed(2)} ×`,
    target: "–",
  }));
}

async function commits(cluster: Cluster, seconds: number): Promise<Commits> {
  const { nodes } = cluster;
  const [first] = nodes as [NodeProcess];
  await fillWorld(first.sql, { people: PEOPLE, posts: 1_000, follows: 1, readers: PEOPLE });
  const tokens = await signIn(first.url, PEOPLE);
  const owners = await first.sql.query<{ url: string }>(
    "select n.url from partitions p join nodes n on n.id = p.node order by p.id",
  );
  const load = async (seconds: number) => {
    const loads = nodes.map(async ({ url }) => {
      const script = repeating(postsTo(url, owners, tokens));
      return (await wrk(url, { connections: CONNECTIONS / nodes.length, seconds, script })).perSecond;
    });
    return (await Promise.all(loads)).reduce((sum, each) => sum + each, 0);
  };
  await load(WARM_UP_S);
  const before = await counted(nodes);
  const locks = new LockWaits(first);
  const postsPerSecond = await load(seconds);
  const waiting = await locks.stop();
  const after = await counted(nodes);
  const [turns, statements, ms] = after.map((value, i) => value - before[i]!) as [number, number, number];
  return { postsPerSecond, turns: turns / statements, waiting, statementMs: ms / statements };
}

/** Posts to pages of this node. */
function postsTo(url: string, owners: readonly { url: string }[], tokens: readonly string[]): LoadRequest[] {
  const json = JSON.stringify({ text: "A post of ordinary length, as people write it on an ordinary day." });
  return tokens.flatMap((token, i): LoadRequest[] => {
    const page = uuidOf("page", i + 1);
    if (owners[partitionOf(page)]!.url !== url) return [];
    return [{ method: "POST", path: `/api/v1/pages/${page}/posts`, token, json }];
  });
}

/** Turns, statements and their milliseconds, over all nodes. */
async function counted(nodes: readonly NodeProcess[]): Promise<number[]> {
  const names = ["actor_commits_total", "actor_statements_total", "actor_commit_seconds_total"];
  const all = await Promise.all(
    nodes.map(async ({ url }) => parseMetrics(await (await fetch(`${url}/metrics`)).text())),
  );
  const [turns, statements, s] = names.map((name) =>
    all.reduce((sum, families) => sum + (valueOf(families, `rookery_${name}`) ?? 0), 0)
  ) as [number, number, number];
  return [turns, statements, s * 1_000];
}

/** Looks again and again how many statements wait for a lock. */
class LockWaits {
  #samples: number[] = [];
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(node: NodeProcess) {
    this.#running = this.#look(node);
  }

  /** The average. */
  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#running;
    return this.#samples.reduce((sum, each) => sum + each, 0) / this.#samples.length;
  }

  async #look({ sql }: NodeProcess): Promise<void> {
    while (!this.#stopped) {
      const [row] = await sql.query<{ n: number }>(
        "select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'",
      );
      this.#samples.push(row!.n);
      await sleep(LOOK_MS);
    }
  }
}
