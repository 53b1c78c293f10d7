/** A backup of the embedded default does not block requests. */
import assert from "node:assert/strict";
import { sleep } from "../../../lib/sleep.ts";
import { emptyFolder, NodeProcess } from "../../support/node_process.ts";
import { makePeople, type Person } from "../../support/person.ts";
import { TaskProcess } from "../../support/task_process.ts";

const PAUSE_MS = 50;
/** Of one post, which a busy machine may hold up. */
const MAX_WAIT_MS = 5_000;
const USUAL_WAIT_MS = 1_000;

/** Posts at a steady rate until `done`; returns the duration of each. */
async function postsUntil(person: Person, done: Promise<unknown>): Promise<number[]> {
  let isDone = false;
  const watched = done.finally(() => isDone = true);
  const waits: Promise<number>[] = [];
  while (!isDone) {
    const start = performance.now();
    const posting = person.post(`at ${waits.length}`).then(() => performance.now() - start);
    posting.catch(() => {});
    waits.push(posting);
    await sleep(PAUSE_MS);
  }
  await watched;
  return await Promise.all(waits);
}

Deno.test("Posts are answered during a backup of the embedded default", async () => {
  await using folder = await emptyFolder();
  await using node = await NodeProcess.start({ full: false });
  const [ann] = await makePeople(node, 1) as [Person];
  await node.sql.execute(
    `insert into letters (id, message_id, sender, recipient, subject, text)
    select gen_random_uuid(), i::text, 'a', 'b', 'c', repeat(md5(i::text), 30) from generate_series(1, 150000) i`,
  );
  const alone = await postsUntil(ann, new Promise((resolve) => setTimeout(resolve, 2_000)));
  const beside = await postsUntil(ann, TaskProcess.done("backup", [`${folder.path}/backup`], node.settings));
  assert.ok(beside.length >= 5, `the backup ended after ${beside.length} posts`);
  const [longest, longestAlone] = [Math.max(...beside), Math.max(...alone)];
  const median = beside.toSorted((a, b) => a - b)[beside.length >> 1]!;
  assert.ok(median < USUAL_WAIT_MS, `half of the posts took ${median} ms or longer during a backup`);
  assert.ok(longest < MAX_WAIT_MS, `a post took ${longest} ms during a backup, ${longestAlone} ms without`);
});
