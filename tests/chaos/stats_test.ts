/**
 * Statistics while their process and the node are killed: finally every number equals a count in SQL.
 */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { connectPostgres } from "../../db/postgres.ts";
import { nothing } from "../../services/stats/store.ts";
import { fullSeededTest } from "../support/full.ts";
import { Installation } from "../support/installation.ts";
import { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { childrenOf } from "../support/processes.ts";
import { seededTest } from "../support/seeded.ts";
import { freePort } from "../support/servers.ts";
import { countedPages, keptDays, statsSettled } from "../support/stats_oracle.ts";
import { StatsWorkload } from "../support/stats_workload.ts";
import { TaskProcess } from "../support/task_process.ts";
import { until } from "../support/wait.ts";

const ROUNDS = 4;
const ACTS = 150;

seededTest(
  "Under random actions and kills every page's statistics equal a count, also after a rebuild",
  async (random) => {
    await using node = await NodeProcess.start();
    const people = await makePeople(node, 6);
    const admin = await administrator(node);
    const workload = new StatsWorkload(random, people);
    for (let round = 0; round < ROUNDS; round++) {
      const atWork = workload.run(ACTS);
      for (let kills = random.whole(1, 3); kills > 0; kills--) {
        const wanted = workload.done + random.whole(10, 40);
        await until("some actions", () => workload.done >= wanted || workload.done % ACTS === 0, { everyMs: 5 });
        await killStatistics(node);
      }
      if (round % 2 === 1) {
        await node.kill();
        await node.restart();
      }
      await atWork;
      if (round === 2) {
        const gone = people.pop()!;
        await admin.do("DELETE", `/users/${gone.id}`);
      }
      await compare(node, node.sql, workload, people);
    }
    const before = await keptDays(node.sql);
    await node.sql.script("delete from stats.days; delete from stats.position; delete from stats.building");
    const rebuilt = await rebuild(node);
    assert.match(rebuilt, /All pages had correct counts/);
    await statsSettled(node.sql);
    assert.deepEqual(await keptDays(node.sql), before, "a rebuild has the same numbers");
    await compare(node, node.sql, workload, people);

    // Writes past the program are found by the rebuild.
    await node.sql.execute(
      `delete from follows where (page_id, user_id) in (
        select page_id, user_id from follows f where f.state = 'following' limit 1)`,
    );
    await node.sql.execute(
      `delete from posts where id in (
        select id from posts p
        where state = 'ready' and reply_to is null
          and not exists (select from posts r where r.reply_to = p.id) limit 1)`,
    );
    assert.match(await rebuild(node), /[12] pages had wrong counts, corrected from today on/);
    await compare(node, node.sql, workload, people);
  },
);

fullSeededTest(
  "ROLES=stats alone with its own tables catches up from the bus after NATS was wiped and the service killed",
  async (random) => {
    await using installation = await Installation.open({ redis: false });
    const { nats } = installation;
    const STATS_DATABASE_URL = await installation.postgres.createDatabase();
    const STATS_PORT = String(await freePort());
    const node = await installation.start({
      PORT: String(await freePort()),
      STATS_URL: `http://127.0.0.1:${STATS_PORT}`,
      ROLES: "api,actors,jobs,storage,mail",
    });
    assert.ok(!(await childrenOf(node.pid)).some(({ command }) => command.includes("workers/children/stats.ts")));
    const people = await makePeople(node, 5);
    const [ada] = people as [Person];
    const refused = await ada.call("GET", `/pages/${ada.page_id}/stats`);
    assert.deepEqual([refused.status, refused.headers.has("retry-after")], [503, true]);
    const service = await installation.start({ STATS_DATABASE_URL, STATS_PORT, ROLES: "stats", SECRET_KEY: "" });
    await using own = connectPostgres(STATS_DATABASE_URL, { max: 1 });
    const workload = new StatsWorkload(random, people);
    const settled = async () =>
      await until("all events are counted", async () => {
        const [position] = await own.query<{ seq: number }>("select seq from stats.position").catch(() => []);
        const [row] = await node.sql.query<{ seq: number; open: boolean }>(
          "select seq, exists (select from like_signals) as open from sequencer",
        );
        return position?.seq === row!.seq && !row!.open;
      });
    const holds = async (when: string) => {
      await settled();
      await compare(node, own, workload, people, when);
    };
    await workload.run(ACTS);
    await holds("from the bus");

    await node.kill();
    const direct = await fetch(`http://127.0.0.1:${STATS_PORT}/pages/${ada.page_id}/stats`, {
      headers: { authorization: `Bearer ${ada.token}` },
    });
    assert.equal(direct.status, 200, "the service needs no other process to verify a token");
    await direct.body?.cancel();
    await node.restart();

    await service.kill();
    await workload.run(ACTS);
    await service.restart();
    await holds("after a stop");

    const atWork = workload.run(2 * ACTS);
    await nats.kill();
    await until("it continues without NATS", () => workload.done % 50 === 0 || workload.done > 2.5 * ACTS, {
      everyMs: 5,
    });
    await nats.restart({ wipe: true });
    await service.kill();
    await service.restart();
    await atWork;
    await holds("after NATS was wiped");

    // After the loss of its tables the service rebuilds them.
    await service.kill();
    await own.script("drop schema stats cascade");
    await service.restart();
    await holds("after its tables were lost");
    assert.equal((await service.stop()).code, 0);
  },
);

/** Compares the statistics for owners, and the stored ones, with a count. */
async function compare(
  node: NodeProcess,
  own: Sql,
  workload: StatsWorkload,
  people: readonly Person[],
  when = "",
): Promise<void> {
  if (own === node.sql) await statsSettled(own);
  const counted = await countedPages(node.sql);
  const kept = await own.query<{ page_id: string; counts: number[] }>(
    `select page_id, array[sum(posts), sum(followers), sum(requests), sum(likes), sum(replies)]::int[] as counts
    from stats.days group by page_id`,
  );
  const sums = new Map(kept.map(({ page_id, counts }) => [page_id, counts]));
  for (const [page, numbers] of counted) {
    const { posts, followers, requests, likes, replies } = numbers;
    assert.deepEqual(
      sums.get(page) ?? [0, 0, 0, 0, 0],
      [posts, followers, requests, likes, replies],
      `${page} ${when}`,
    );
  }
  let shown = 0;
  for (const { id, owner } of workload.pages) {
    if (!people.includes(owner)) continue;
    const { status, body } = await until("the service answers", async () => {
      const answer = await owner.call("GET", `/pages/${id}/stats`);
      return answer.status !== 503 && answer;
    });
    const numbers = counted.get(id);
    assert.equal(status, numbers ? 200 : 404);
    if (!numbers) continue;
    assert.deepEqual(body.totals, { ...nothing(), ...numbers }, `${id} ${when}`);
    const { date: _, ...last } = body.daily.at(-1);
    assert.deepEqual([last, body.growth], [body.totals, body.totals]);
    shown++;
  }
  assert.ok(shown > 0);
}

async function killStatistics(node: NodeProcess): Promise<void> {
  const child = (await childrenOf(node.pid)).find(({ command }) => command.includes("workers/children/stats.ts"));
  if (child) Deno.kill(child.pid, "SIGKILL");
}

async function rebuild(node: NodeProcess): Promise<string> {
  const { code, output } = await TaskProcess.run("stats_rebuild", [], node.settings);
  assert.equal(code, 0, output);
  return output;
}
