import assert from "node:assert/strict";
import {
  claimDueJobs,
  claimJobs,
  finishJob,
  passJobOn,
  renewJob,
  returnJob,
  sweepJobs,
  unnotifiedJobs,
} from "../../db/jobs.ts";
import type { Sql } from "../../db/sql.ts";
import { newId } from "../../lib/ids.ts";
import { openTestDatabase } from "../support/database.ts";

async function withJob(test: (sql: Sql, id: string) => Promise<void>): Promise<void> {
  await using sql = await openTestDatabase();
  const id = newId();
  await sql.execute("insert into jobs (id, kind, payload, run_at) values ($1, 'a', '{}', now())", [id]);
  await test(sql, id);
}

async function row(sql: Sql, id: string): Promise<Record<string, unknown> | undefined> {
  return (await sql.query("select kind, state, attempts from jobs where id = $1", [id]))[0];
}

Deno.test("A job is claimed once, by a process that runs its kind", () =>
  withJob(async (sql, id) => {
    assert.deepEqual(await claimDueJobs(sql, "b", 8, 60_000), []);
    const claims = await Promise.all([claimJobs(sql, "a", [id], 60_000), claimDueJobs(sql, "a", 8, 60_000)]);
    assert.equal(claims.flat().length, 1);
    assert.deepEqual(await claimJobs(sql, "a", [id], 60_000), []);
  }));

Deno.test("A job cannot be changed with a lost claim", () =>
  withJob(async (sql, id) => {
    const first = (await claimJobs(sql, "a", [id], 0))[0]!;
    assert.deepEqual(await sweepJobs(sql, ["a", "b"]), ["a"]);
    const second = (await claimJobs(sql, "a", [id], 60_000))[0]!;
    assert.deepEqual([first.attempts, first.abandoned, second.attempts, second.abandoned], [1, false, 2, true]);
    await finishJob(sql, first);
    await returnJob(sql, first, "dead", 0, "late");
    await renewJob(sql, first, 0);
    assert.equal(await passJobOn(sql, first, "b", {}), false);
    assert.deepEqual(await row(sql, id), { kind: "a", state: "running", attempts: 2 });
    assert.deepEqual(await sweepJobs(sql, ["a"]), [], "its lease is unchanged");
    assert.equal(await passJobOn(sql, second, "b", { more: 1 }), true);
    await finishJob(sql, second);
    assert.deepEqual(await row(sql, id), { kind: "b", state: "waiting", attempts: 0 });
  }));

Deno.test("The end of an earlier run does not end a job that was started again", () =>
  withJob(async (sql, id) => {
    const claim = (await claimJobs(sql, "a", [id], 60_000))[0]!;
    // Like a retry.
    await sql.execute("update jobs set kind = 'b', state = 'waiting', attempts = 0 where id = $1", [id]);
    await finishJob(sql, claim);
    assert.deepEqual(await row(sql, id), { kind: "b", state: "waiting", attempts: 0 });
  }));

Deno.test("A due job is notified once per interval, and an uncounted attempt does not increase the count", () =>
  withJob(async (sql, id) => {
    assert.deepEqual(await unnotifiedJobs(sql, "a", 10, 60_000), [id]);
    assert.deepEqual(await unnotifiedJobs(sql, "a", 10, 60_000), []);
    const claim = (await claimJobs(sql, "a", [id], 60_000))[0]!;
    await returnJob(sql, claim, "waiting", 0, "storage is unavailable", false);
    assert.deepEqual(await row(sql, id), { kind: "a", state: "waiting", attempts: 0 });
    assert.deepEqual(await unnotifiedJobs(sql, "a", 10, 60_000), [id]);
  }));
