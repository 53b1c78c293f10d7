import assert from "node:assert/strict";
import type { Reader } from "../../db/sql.ts";
import { Log } from "../../lib/log.ts";
import { AccountChecks } from "../../live/account_checks.ts";
import type { Listeners } from "../../live/listeners.ts";
import { sleep } from "../../lib/sleep.ts";

/** Reads that wait until the test answers them: no account has a session any more. */
function world() {
  const reads: (() => void)[] = [];
  const closed: string[] = [];
  const connections = ["x", "u"].map((userId) => ({
    userId,
    sessionId: "session",
    staff: false,
    close: () => closed.push(userId),
  }));
  const listeners = {
    countOf: () => 1,
    of: (userId: string) => connections.filter((connection) => connection.userId === userId),
    all: () => connections,
  } as unknown as Listeners;
  const sql = {
    query: () => new Promise((resolve) => reads.push(() => resolve([]))),
  } as unknown as Reader;
  return { checks: new AccountChecks(sql, listeners, new Log("error")), reads, closed };
}

Deno.test("What changed is not finished while the regular check of all accounts still reads", async () => {
  const { checks, reads, closed } = world();
  checks.changed("x");
  checks.changed("u");
  const regular = checks.recheck();
  let isFinished = false;
  const finishing = checks.finish().then(() => isFinished = true);
  reads[0]!();
  await sleep(20);
  assert.deepEqual([isFinished, closed], [false, ["x"]]);
  while (!isFinished) {
    for (const answer of reads) answer();
    await sleep(5);
  }
  await Promise.all([regular, finishing]);
  assert.ok(closed.includes("u"));
});
