/** Calls without pause while nodes behind a proxy come and go, and what callers saw of it. */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { sleep } from "../../lib/sleep.ts";
import type { Person } from "./person.ts";

export interface Seen {
  /** How many calls got each status. */
  reads: Record<number, number>;
  writes: Record<number, number>;
  /** Texts of acknowledged posts. */
  posted: string[];
}

/** Reads and writes, a few at a time, until `work` is done and the proxy has noticed. */
export async function underLoad(person: Person, label: string, work: () => Promise<unknown>): Promise<Seen> {
  const seen: Seen = { reads: {}, writes: {}, posted: [] };
  let stopped = false;
  let sent = 0;
  const read = async (path: string) => {
    const { status } = await person.call("GET", path);
    seen.reads[status] = (seen.reads[status] ?? 0) + 1;
  };
  // HAProxy before 3.0 closes a connection that is used again in place of an answer, and fetch sends the post again.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const write = async () => {
    const text = `${label} ${sent++}`;
    const response = await fetch(`${person.node.url}/api/v1/pages/${person.page_id}/posts`, {
      client,
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${person.token}` },
      body: JSON.stringify({ text }),
    });
    await response.body?.cancel();
    seen.writes[response.status] = (seen.writes[response.status] ?? 0) + 1;
    if (response.status === 201) seen.posted.push(text);
  };
  const loop = async (step: () => Promise<void>) => {
    while (!stopped) {
      await step();
      // So that all of it stays below the rate limits.
      await sleep(60);
    }
  };
  const steps = [() => read("/users/me"), () => read("/users/me"), () => read("/search?q=proxied"), write, write];
  const ended = Promise.all(steps.map(loop));
  // A failure is thrown below.
  ended.catch(() => {});
  await sleep(500);
  // A failure must not leave the loops running.
  const done = await work().then(() => undefined, (error) => ({ error }));
  // Longer than the lease of a killed node, for which some writes wait.
  await sleep(3_000);
  stopped = true;
  await ended;
  if (done) throw done.error;
  return seen;
}

/** Every acknowledged post is there once. */
export async function checkPosts({ posted }: Seen, sql: Sql): Promise<void> {
  const rows = await sql.query<{ text: string }>("select text from posts");
  const texts = rows.map(({ text }) => text);
  for (const text of posted) assert.equal(texts.filter((other) => other === text).length, 1, text);
  assert.ok(posted.length > 20, `only ${posted.length} posts`);
}

/** No read failed, and writes have these statuses only. */
export function checkStatuses({ reads, writes }: Seen, allowed: readonly number[]): void {
  assert.deepEqual(Object.keys(reads), ["200"]);
  for (const status of Object.keys(writes)) assert.ok(allowed.includes(Number(status)), JSON.stringify(writes));
}
