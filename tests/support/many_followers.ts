/** A post of a page with many followers. */
import assert from "node:assert/strict";
import { makeFollowers } from "./followers.ts";
import { NodeProcess } from "./node_process.ts";
import { makePeople, type Person } from "./person.ts";
import { until } from "./wait.ts";

/** A generous limit, not a measurement. */
const MAX_MS = 240_000;
/** The growth of a node with its embedded database, garbage included. */
const MEMORY_MB = 300;

/** Takes limited memory, delays no one and sends each follower one email. */
export async function postToFollowers(followers: number): Promise<void> {
  await using node = await NodeProcess.start();
  const [ann, bob] = await makePeople(node, 2) as [Person, Person];
  await makeFollowers(node.sql, ann.page_id, followers);
  const before = await memory(node);
  const post = await ann.post("to everyone");
  let peak = 0;
  let slowest = 0;
  await until("everyone has an email", async () => {
    peak = Math.max(peak, await memory(node));
    const start = performance.now();
    await bob.post("meanwhile");
    slowest = Math.max(slowest, performance.now() - start);
    const [row] = await node.sql.query<{ n: number }>(
      "select count(*) as n from deliveries where event_id = $1 and state = 'sent'",
      [post.id],
    );
    return row!.n === followers;
  }, { timeoutMs: MAX_MS, everyMs: 250 });
  const [row] = await node.sql.query<{ letters: number; people: number; jobs: number }>(
    `select count(*) as letters, count(distinct recipient) as people,
        (select count(*) from jobs where kind like 'post.%') as jobs
    from letters where message_id like $1`,
    [`<${post.id}.%`],
  );
  assert.deepEqual(row, { letters: followers, people: followers, jobs: 0 });
  assert.ok(peak - before < MEMORY_MB, `the node grew from ${before} to ${peak} MB`);
  assert.ok(slowest < 5_000, `another person's post took ${Math.round(slowest)} ms`);
}

/** Resident megabytes of the node without its children. */
async function memory(node: NodeProcess): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${node.pid}/status`);
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024);
}
