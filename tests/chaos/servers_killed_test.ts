/** A node whose Postgres, Redis or NATS is killed. The servers are its own. */
import assert from "node:assert/strict";
import { Listener } from "../support/listener.ts";
import { call } from "../support/api.ts";
import { fullSeededTest } from "../support/full.ts";
import { Installation } from "../support/installation.ts";
import type { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import type { Seeded } from "../support/seeded.ts";
import { assertCountersTrue, assertHistoryWhole, WriteWorkload } from "../support/write_workload.ts";
import { until } from "../support/wait.ts";
import { eventsNumbered } from "../support/settled.ts";

fullSeededTest(
  "Postgres: terminated backends and a restart under load lose nothing, and the node keeps running",
  async (random) => {
    await using installation = await Installation.open({ redis: false, nats: false });
    const { postgres } = installation;
    const node = await installation.start();
    const world = await build(node, random);
    const { workload } = world;
    const pid = node.pid;
    await underLoad(workload, async (grown) => {
      for (let i = 0; i < 4; i++) {
        await grown(40);
        await node.sql.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'rookery%' and pid <> pg_backend_pid()`,
        );
      }
      await grown(40);
      await postgres.kill();
      const [person] = world.people;
      const refused = await until("a write is refused", async () => {
        const answer = await person!.call("POST", `/pages/${person!.page_id}/posts`, { text: "while it is away" });
        return answer.status === 503 && answer;
      });
      assert.ok(Number(refused.headers.get("retry-after")) > 0, "a rejection has Retry-After");
      const read = await person!.call("GET", "/users/me/likes");
      assert.deepEqual([read.status, read.headers.has("retry-after")], [503, true]);
      const ready = await fetch(`${node.url}/readyz`);
      assert.equal(ready.status, 503, await ready.text());
      assert.equal((await fetch(`${node.url}/healthz`)).status, 200);
      await postgres.restart();
      await grown(80);
    });
    assert.equal(node.pid, pid, "the process did not restart");
    // After its lease a node closes its sockets. With the cursor listeners miss nothing.
    if (!world.listener.connected) await world.listener.connect();
    await holds(node, world);
  },
);

fullSeededTest("Redis and NATS: killed and wiped under load, they lose no write and no live event", async (random) => {
  await using installation = await Installation.open();
  const { redis, nats } = installation;
  const node = await installation.start();
  const world = await build(node, random);
  const [person] = world.people as [Person, ...Person[]];
  await underLoad(world.workload, async (grown) => {
    await grown(40);
    await redis.kill();
    await grown(40);
    const ticket = await person.call("POST", "/feed/ticket");
    assert.equal(ticket.status, 200, "a browser can listen without Redis");
    await redis.restart({ wipe: true });
    await nats.kill();
    await grown(40);
    await nats.restart();
    await grown(40);
    await nats.restart({ wipe: true });
    await grown(40);
    await Promise.all([nats.kill(), redis.kill()]);
    await grown(40);
    await Promise.all([nats.restart({ wipe: true }), redis.restart({ wipe: true })]);
    await grown(40);
  });
  await until("everything is ready again", async () => {
    const ready = await fetch(`${node.url}/readyz`);
    await ready.body?.cancel();
    return ready.status === 200;
  });
  assert.ok(world.listener.connected, "the listener's socket stayed open");
  await holds(node, world);
});

fullSeededTest(
  "After everything was killed at once, including the node, all acknowledged writes exist",
  async (random) => {
    await using installation = await Installation.open();
    const { postgres, redis, nats } = installation;
    const node = await installation.start();
    const world = await build(node, random);
    await underLoad(world.workload, async (grown) => {
      await grown(80);
      await Promise.all([node.kill(), postgres.kill(), redis.kill(), nats.kill()]);
      await Promise.all([postgres.restart(), redis.restart({ wipe: true }), nats.restart({ wipe: true })]);
      await node.restart();
      await grown(80);
    });
    await world.listener.connect();
    await holds(node, world);
  },
);

interface World {
  workload: WriteWorkload;
  people: Person[];
  admin: Person;
  listener: Listener;
}

async function build(node: NodeProcess, random: Seeded): Promise<World> {
  const admin = await administrator(node);
  const people = await makePeople(node, 5);
  // The administrator follows all pages, which the workload does not change.
  for (const { page_id: page } of people) await admin.do("PUT", `/pages/${page}/follow`);
  const workload = new WriteWorkload(random, people, people.map(({ page_id: page }) => page), "f");
  return { workload, people, admin, listener: await Listener.open(admin) };
}

/** Runs the workload during `work`; `grown` waits until more posts were acknowledged. */
async function underLoad(
  workload: WriteWorkload,
  work: (grown: (posts: number) => Promise<void>) => Promise<void>,
): Promise<void> {
  let stopped = false;
  const atWork = workload.run(12, () => stopped);
  try {
    await work(async (posts) => {
      const wanted = workload.posts.size + posts;
      await until("the workload continues", () => workload.posts.size >= wanted);
    });
  } finally {
    stopped = true;
    await atWork;
  }
}

async function holds(node: NodeProcess, { workload, admin, listener }: World): Promise<void> {
  await until(
    "writes are accepted",
    async () => (await call(node, "GET", "/users/me", { token: admin.token })).status === 200,
  );
  await node.sql.execute("update receipts set lease_until = now() - interval '1 second' where state = 'running'");
  await workload.retry();
  await workload.holdAgainst(node.sql);
  await eventsNumbered(node.sql);
  await assertCountersTrue(node.sql);
  await assertHistoryWhole(node.sql);
  const mark = await admin.post("did you hear it all?");
  await listener.heard("the mark", ({ data }) => data.id === mark.id);
  const heard = listener.events.filter(({ type }) => type === "post.created").map(({ data }) => data.id).sort();
  const posts = await node.sql.query<{ id: string }>("select id from posts order by id");
  assert.deepEqual(heard, posts.map(({ id }) => id), "every post was received once");
  listener.cut();
}
