/**
 * Statements that waited write only what is still allowed: epochs fence writes, and blocks apply to work in progress.
 */
import assert from "node:assert/strict";
import pg from "../../db/pg.ts";
import { Actors } from "../../actors/actors.ts";
import { type Grant, partitionOf, PARTITIONS, takePartitions } from "../../db/partitions.ts";
import { type HostThread, Pool, type PoolOptions } from "../../actors/runtime/pool.ts";
import { Moved } from "../../actors/runtime/protocol.ts";
import type { ActorRouter } from "../../actors/runtime/router.ts";
import { readDirectory, renewLease } from "../../db/nodes.ts";
import { startWorkerThread } from "../../workers/threads/start_actors.ts";
import { connectPostgres } from "../../db/postgres.ts";
import { createPost } from "../../db/posts.ts";
import { migrate } from "../../db/migrate.ts";
import type { Sql } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";
import { Log } from "../../lib/log.ts";
import { newId } from "../../lib/ids.ts";

import { freshDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

fencingTest("A commit under an old epoch writes nothing", async ({ sql, node, page, owner }) => {
  const partition = partitionOf(page);
  const [first] = await taken(sql, node, [partition]);
  assert.equal((await commitPost(sql, page, owner, first!.epoch)).length, 1);
  const [second] = await taken(sql, node, [partition]);
  assert.ok(second!.epoch > first!.epoch);
  const before = await everything(sql);
  assert.deepEqual(await commitPost(sql, page, owner, first!.epoch), []);
  assert.deepEqual(await everything(sql), before);
  assert.equal((await commitPost(sql, page, owner, second!.epoch)).length, 1);
});

fencingTest(
  "Taking a partition waits for statements in progress under its old epoch",
  async ({ sql, node, url, page, owner }) => {
    const partition = partitionOf(page);
    const [grant] = await taken(sql, node, [partition]);
    await using zombie = await transaction(url);
    const rows = await zombie.query(...statement(page, owner, grant!.epoch));
    assert.equal(rows.length, 1);
    let isTaken = false;
    const taking = taken(sql, node, [partition]).then((grants) => {
      isTaken = true;
      return grants;
    });
    await until("the write waits for a lock", () => someoneWaits(sql));
    assert.equal(isTaken, false);
    await zombie.commit();
    const [next] = await taking;
    assert.equal(next!.epoch, grant!.epoch + 1);
    assert.equal((await everything(sql)).posts, 1, "the statement in flight was committed");
  },
);

fencingTest(
  "A statement that waited while its partition was taken writes nothing",
  async ({ sql, node, url, page, owner }) => {
    const partition = partitionOf(page);
    const [grant] = await taken(sql, node, [partition]);
    await using taker = await transaction(url);
    await taker.query("update partitions set epoch = epoch + 1 where id = $1", [partition]);
    const late = commitPost(sql, page, owner, grant!.epoch);
    await until("the late statement waits for a lock", () => someoneWaits(sql));
    await taker.commit();
    assert.deepEqual(await late, []);
    assert.deepEqual(await everything(sql), { posts: 0, events: 0, post_count: 0 });
  },
);

fencingTest(
  "A worker that dies during turns is replaced, and every call is answered",
  async ({ sql, node, url, page, owner }) => {
    const threads: { thread: HostThread; die: (reason: string) => void }[] = [];
    const options: PoolOptions = {
      threads: 1,
      start: async () => {
        const thread = await startWorkerThread({ databaseUrl: url, codeKey: new Uint8Array(32), checkReads: true });
        threads.push({ thread, die: () => {} });
        const place = threads.at(-1)!;
        return { ...thread, onDeath: (listen) => thread.onDeath(place.die = listen) };
      },
      lease: { holds: true },
      log: new Log("error"),
      onCommitted: () => {},
      applied: () => Promise.resolve(),
      onJobs: () => {},
      onOutdated: () => assert.fail("a replaced worker does not count as another node"),
      onReplaced: () => void takeAll(),
    };
    await using pool = await Pool.start(options);
    const all = Array.from({ length: PARTITIONS }, (_, partition) => partition);
    const takeAll = async () => pool.grant(await taken(sql, node, all));
    await takeAll();
    const router = pool as Partial<ActorRouter> as ActorRouter;
    const post = async () => {
      const id = newId();
      const content = { id, text: id, tagged: [], tagged_logins: [], place: null, reply_to: null, photos: [] };
      await new Actors(router).ask("page", page, "create_post", { by: { id: owner, role: "user" }, post: content });
      return id;
    };
    const acknowledged = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const dying = threads.at(-1)!;
      const asked = Array.from({ length: 300 }, () => post());
      await Promise.any(asked);
      dying.thread.terminate();
      dying.die("ended by the test");
      let unknown = 0;
      for (const outcome of await Promise.allSettled(asked)) {
        if (outcome.status === "fulfilled") acknowledged.add(outcome.value);
        else {
          const { reason } = outcome;
          const code = reason instanceof AppError ? reason.code : reason instanceof Moved ? "moved" : String(reason);
          assert.ok(["outcome-unknown", "overloaded", "moved"].includes(code), code);
          unknown++;
        }
      }
      assert.ok(unknown > 0, "it died with calls in progress");
      acknowledged.add(await until("another worker answers", () => post().catch(() => undefined)));
      assert.equal(threads.length, round + 2);
    }
    const stored = await sql.query<{ id: string }>("select id from posts");
    const ids = new Set(stored.map(({ id }) => id));
    for (const id of acknowledged) assert.ok(ids.has(id), `${id} was acknowledged and is missing`);
    const { posts, events, post_count } = await everything(sql);
    assert.deepEqual([events, post_count], [posts, posts], "each post has an event and is counted");
  },
);

fencingTest("A post that waited while its page was blocked is not written", async ({ sql, node, url, page, owner }) => {
  const [grant] = await taken(sql, node, [partitionOf(page)]);
  await using blocking = await transaction(url);
  await blocking.query("update pages set owner_blocked_until = 'infinity' where id = $1", [page]);
  const posting = commitPost(sql, page, owner, grant!.epoch) as Promise<{ result: { open: boolean } }[]>;
  await until("the post waits for a lock", () => someoneWaits(sql));
  await blocking.commit();
  assert.deepEqual((await posting).map(({ result }) => result.open), [false]);
  assert.deepEqual(await everything(sql), { posts: 0, events: 0, post_count: 0 });
});

interface Ground {
  sql: Sql;
  /** A node with a lease. */
  node: string;
  url: string;
  page: string;
  owner: string;
}

function fencingTest(name: string, body: (ground: Ground) => Promise<void>): void {
  Deno.test({
    name,
    fn: async () => {
      const url = await freshDatabase();
      await using sql = connectPostgres(url, { max: 4, applicationName: "test" });
      await migrate(sql);
      const [owner, page] = [newId(), newId()];
      await sql.execute(
        `with u as (insert into users (id, login, password_hash, first_name, last_name, email, page_id, created_at)
          values ($1, 'ann', '', 'Ann', 'Lee', 'ann@example.com', $2, now()))
        insert into pages (id, owner_id, uuid, name, is_personal, created_at)
      values ($2, $1, 'ann', 'Ann', true, now())`,
        [owner, page],
      );
      const node = newId();
      await renewLease(sql, { id: node, leaseMs: 3_600_000, acknowledged: 0, url: null, actors: true });
      await body({ sql, node, url, page, owner });
    },
  });
}

/** Takes these partitions, which are free or the node's own. */
async function taken(sql: Sql, node: string, partitions: readonly number[]): Promise<Grant[]> {
  const { owners } = await readDirectory(sql);
  return await takePartitions(
    sql,
    node,
    partitions.map((partition) => ({ partition, epoch: owners[partition]!.epoch })),
  );
}

function statement(page: string, owner: string, epoch: number): [text: string, params: (string | number[])[]] {
  const part = partitionOf(page);
  const row = {
    id: newId(),
    page_id: page,
    author_id: owner,
    text: "a post",
    tagged: [],
    at: new Date().toISOString(),
  };
  return [createPost.text, [JSON.stringify([{ turn: 0, part, epoch, ...row }]), [part]]];
}

function commitPost(sql: Sql, page: string, owner: string, epoch: number): Promise<unknown[]> {
  const [text, params] = statement(page, owner, epoch);
  return sql.query(text, params);
}

async function everything(sql: Sql): Promise<{ posts: number; events: number; post_count: number }> {
  const [row] = await sql.query<{ posts: number; events: number; post_count: number }>(
    `select (select count(*) from posts) as posts, (select count(*) from events) as events,
      (select sum(post_count)::int from pages) as post_count`,
  );
  return row!;
}

async function someoneWaits(sql: Sql): Promise<boolean> {
  const rows = await sql.query(
    "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return rows.length > 0;
}

/** A separate connection with an open transaction. */
async function transaction(url: string) {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  await client.query("begin");
  return {
    query: async (text: string, params: unknown[]) => (await client.query(text, params)).rows,
    commit: () => client.query("commit"),
    [Symbol.asyncDispose]: () => client.end(),
  };
}
