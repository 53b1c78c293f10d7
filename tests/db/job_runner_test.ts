import assert from "node:assert/strict";
import type { Job, JobRef } from "../../db/jobs.ts";
import type { Sql } from "../../db/sql.ts";
import { Log } from "../../lib/log.ts";
import { newId } from "../../lib/ids.ts";
import { type JobKind, JobParked, JobPostponed } from "../../jobs/kind.ts";
import { JobRunner } from "../../jobs/runner.ts";
import { openTestDatabase } from "../support/database.ts";
import { LocalJobQueue } from "../../jobs/queue/local.ts";
import { until } from "../support/wait.ts";

const quiet = new class extends Log {
  override warn() {}
}("error");

async function withSql(test: (sql: Sql) => Promise<void>): Promise<void> {
  await using sql = await openTestDatabase();
  await test(sql);
}

async function add(sql: Sql, kind: string, count = 1, more: { due?: string } = {}): Promise<JobRef[]> {
  const refs = Array.from({ length: count }, () => ({ kind, id: newId() }));
  await sql.execute(
    "insert into jobs (id, kind, payload, run_at) select id, $2, '{}', now() + $3::interval from unnest($1::uuid[]) id",
    [refs.map(({ id }) => id), kind, more.due ?? "0"],
  );
  return refs;
}

async function states(sql: Sql): Promise<string[]> {
  const rows = await sql.query<{ state: string; attempts: number }>("select state, attempts from jobs order by state");
  return rows.map(({ state, attempts }) => `${state} ${attempts}`);
}

/** Records the pause after each failure when it begins, as a busy machine may look for it too late. */
const NOTED_PAUSES = `
  create table pauses (n serial, s float8);
  create function note_pause() returns trigger language plpgsql as $$ begin
    insert into pauses (s) values (extract(epoch from new.run_at - now()));
    return null;
  end $$;
  create trigger note_pause after update on jobs for each row
    when (old.state = 'running' and new.state = 'waiting') execute function note_pause()`;

/** Jobs that begin and wait for `release`. */
function gated(concurrency: number): JobKind & { begun: string[]; release(): void } {
  const begun: string[] = [];
  const gates: (() => void)[] = [];
  return {
    concurrency,
    begun,
    release: () => gates.splice(0).forEach((open) => open()),
    run: ({ id }: Job) => {
      begun.push(id);
      return new Promise<void>((resolve) => gates.push(resolve));
    },
  };
}

Deno.test("A runner runs up to the concurrency of each kind, and no kind waits for another", () =>
  withSql(async (sql) => {
    const [slow, quick] = [gated(3), gated(1)];
    await add(sql, "slow", 10);
    await using runner = new JobRunner(sql, { slow, quick }, quiet);
    await until("three are in progress", () => slow.begun.length === 3);
    runner.offer(await add(sql, "quick"));
    await until("the job of the other kind", () => quick.begun.length === 1);
    assert.equal(slow.begun.length, 3);
    quick.release();
    for (let done = 3; done < 10; done += 3) {
      slow.release();
      await until("the next jobs", () => slow.begun.length >= Math.min(10, done + 1));
      await until("three at a time", () => slow.begun.length >= Math.min(10, done + 3));
      assert.ok(slow.begun.length <= done + 3);
    }
    slow.release();
    await until("no jobs are left", async () => (await states(sql)).length === 0);
    assert.equal(new Set(slow.begun).size, 10, "each job runs once");
  }));

Deno.test("A runner runs announced jobs, and finds unannounced ones by itself", () =>
  withSql(async (sql) => {
    const done: string[] = [];
    const kind: JobKind = { run: async ({ id }) => void done.push(id) };
    await using runner = new JobRunner(sql, { kind }, quiet);
    await until("the first poll", async () => (await states(sql)).length === 0);
    const silent = await add(sql, "kind");
    const [foreign] = await add(sql, "foreign");
    runner.offer([...await add(sql, "kind"), foreign!]);
    await until("both jobs are done", () => done.length === 2, { timeoutMs: 10_000 });
    assert.ok(done.includes(silent[0]!.id));
    assert.deepEqual(await states(sql), ["waiting 0"], "jobs of other kinds stay");
  }));

Deno.test("Two runners of one kind run each job once", () =>
  withSql(async (sql) => {
    const done: string[] = [];
    const kind: JobKind = { run: async ({ id }) => void done.push(id) };
    await using first = new JobRunner(sql, { kind }, quiet);
    await using second = new JobRunner(sql, { kind }, quiet);
    const refs = await add(sql, "kind", 60);
    for (const runner of [first, second]) runner.offer(refs);
    await until("no jobs are left", async () => (await states(sql)).length === 0);
    assert.equal(done.length, 60);
    assert.equal(new Set(done).size, 60);
  }));

Deno.test("A failed job is retried with growing pauses, and is dead after its last attempt", () =>
  withSql(async (sql) => {
    let tries = 0;
    const kind: JobKind = {
      maxTries: 3,
      run: () => {
        tries++;
        throw new Error("no luck");
      },
    };
    await sql.script(NOTED_PAUSES);
    await add(sql, "kind");
    await using _runner = new JobRunner(sql, { kind }, quiet);
    await until("the job is dead", async () => {
      await sql.execute("update jobs set run_at = now() where state = 'waiting'");
      return (await states(sql))[0] === "dead 3";
    });
    const [row] = await sql.query<{ last_error: string }>("select last_error from jobs");
    assert.deepEqual([tries, row!.last_error], [3, "no luck"]);
    const pauses = (await sql.query<{ s: number }>("select s from pauses order by n")).map(({ s }) => s);
    assert.equal(pauses.length, 2);
    assert.ok(pauses[0]! >= 0.5 && pauses[0]! <= 1 && pauses[1]! >= 1 && pauses[1]! <= 2, String(pauses));
  }));

for (const state of ["dead", "unknown"] as const) {
  Deno.test(`A job parked as ${state} is not retried`, () =>
    withSql(async (sql) => {
      let tries = 0;
      const kind: JobKind = {
        run: () => {
          tries++;
          throw new JobParked("look at this", state);
        },
      };
      await add(sql, "kind");
      await using runner = new JobRunner(sql, { kind }, quiet);
      await until("the job is parked", async () => (await states(sql))[0] === `${state} 1`);
      await sql.execute("update jobs set run_at = now()");
      runner.offer(await add(sql, "kind"));
      await until("the next job is parked too", () => tries === 2);
    }));
}

Deno.test("A job of a dead runner is run by another, which learns of the earlier start", () =>
  withSql(async (sql) => {
    const [ref] = await add(sql, "kind");
    await sql.execute(
      `update jobs set state = 'running', attempts = 1, lease_until = now() + interval '300 milliseconds'
      where id = $1`,
      [ref!.id],
    );
    const seen: boolean[] = [];
    const kind: JobKind = { run: async ({ abandoned }) => void seen.push(abandoned) };
    await using runner = new JobRunner(sql, { kind }, quiet);
    runner.offer([ref!]);
    await until("the job is done", () => seen.length > 0);
    assert.deepEqual(seen, [true]);
  }));

Deno.test("A runner renews the claims of long jobs", () =>
  withSql(async (sql) => {
    const kind = gated(1);
    await add(sql, "kind");
    const leases = async () =>
      (await sql.query<{ lease_until: string }>("select lease_until from jobs"))[0]?.lease_until ?? "";
    await using _runner = new JobRunner(sql, { kind }, quiet);
    await until("the work is in progress", () => kind.begun.length === 1);
    const first = await leases();
    await until("the claim was renewed", async () => await leases() > first, { timeoutMs: 20_000 });
    kind.release();
  }));

Deno.test("A stopping runner lets jobs finish for a while, then aborts them and returns the rest", () =>
  withSql(async (sql) => {
    let broken = false;
    const kind: JobKind = {
      concurrency: 1,
      run: (_job, signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => {
            broken = true;
            reject(new Error("stopped"));
          })
        ),
    };
    await add(sql, "kind", 2);
    const runner = new JobRunner(sql, { kind }, quiet);
    await until("one job is in progress", async () => (await states(sql)).includes("running 1"));
    const start = performance.now();
    await runner[Symbol.asyncDispose]();
    assert.ok(broken && performance.now() - start < 5_000);
    assert.deepEqual(await states(sql), ["waiting 0", "waiting 1"]);
  }));

Deno.test("A postponed attempt does not count, and waits as long as requested", () =>
  withSql(async (sql) => {
    const kind: JobKind = {
      maxTries: 1,
      run: () => {
        throw new JobPostponed("not now", 60_000);
      },
    };
    await add(sql, "kind");
    await using _runner = new JobRunner(sql, { kind }, quiet);
    const pause = async () =>
      (await sql.query<{ s: number }>("select extract(epoch from run_at - now())::float8 as s from jobs"))[0]!.s;
    await until("the job waits again", async () => (await states(sql))[0] === "waiting 0" && await pause() > 0);
    assert.ok(await pause() > 50);
  }));

Deno.test("A kind uses its own backoff between attempts", () =>
  withSql(async (sql) => {
    const kind: JobKind = {
      backoff: (failures) => failures * 1_000_000,
      run: () => Promise.reject(new Error("no luck")),
    };
    await add(sql, "kind");
    await using _runner = new JobRunner(sql, { kind }, quiet);
    await until("the failed attempt", async () => (await states(sql))[0] === "waiting 1");
    const [row] = await sql.query<{ s: number }>("select extract(epoch from run_at - now())::float8 as s from jobs");
    assert.ok(row!.s > 900 && row!.s <= 1_000, String(row!.s));
  }));

Deno.test("Jobs of a kind with a queue arrive only through it, up to the concurrency, each once", () =>
  withSql(async (sql) => {
    await using queue = new LocalJobQueue();
    const pushed: string[] = [];
    const recording = {
      push: (ids: readonly string[]) => (pushed.push(...ids), queue.push(ids)),
      consume: queue.consume.bind(queue),
    };
    const kind = { ...gated(2), queue: recording };
    const refs = await add(sql, "kind", 5);
    await using runner = new JobRunner(sql, { kind }, quiet);
    await until("two are in progress", () => kind.begun.length === 2);
    runner.offer(refs);
    await queue.push(refs.map(({ id }) => id));
    assert.equal(kind.begun.length, 2);
    await until("no jobs are left", async () => {
      kind.release();
      return (await states(sql)).length === 0;
    });
    assert.deepEqual(kind.begun.toSorted(), refs.map(({ id }) => id).toSorted());
    assert.deepEqual(pushed.toSorted(), refs.map(({ id }) => id).toSorted());
  }));

Deno.test("An offered job goes into its queue at once, and ids without a job are ignored", () =>
  withSql(async (sql) => {
    await using queue = new LocalJobQueue();
    const done: string[] = [];
    const kind: JobKind = { queue, run: async ({ id }) => void done.push(id) };
    await using runner = new JobRunner(sql, { kind }, quiet);
    await queue.push([newId()]);
    const took: number[] = [];
    for (let i = 0; i < 4; i++) {
      const refs = await add(sql, "kind");
      const start = performance.now();
      runner.offer(refs);
      await until("the job is done", () => done.length === i + 1, { everyMs: 5 });
      took.push(performance.now() - start);
      assert.equal(done[i], refs[0]!.id);
    }
    // By sweeps alone each one after the first would take about a second.
    assert.ok(Math.min(...took.slice(1)) < 500, `took ${took} ms`);
  }));

Deno.test("Jobs that a queue refused are pushed again at the next sweep", () =>
  withSql(async (sql) => {
    await using queue = new LocalJobQueue();
    let refusals = 2;
    const refusing = {
      push: async (ids: readonly string[]) => refusals-- <= 0 && await queue.push(ids),
      consume: queue.consume.bind(queue),
    };
    const done: string[] = [];
    const kind: JobKind = { queue: refusing, run: async ({ id }) => void done.push(id) };
    const refs = await add(sql, "kind", 2);
    await using _runner = new JobRunner(sql, { kind }, quiet);
    await until("both are done", () => done.length === 2, { timeoutMs: 10_000 });
    assert.deepEqual(done.toSorted(), refs.map(({ id }) => id).toSorted());
  }));

Deno.test("A stopping runner aborts jobs from a queue and returns them", () =>
  withSql(async (sql) => {
    await using queue = new LocalJobQueue();
    const kind: JobKind = {
      queue,
      concurrency: 1,
      run: (_job, signal) =>
        new Promise((_, reject) =>
          // Longer than the time for other jobs: the runner waits for the queue.
          signal.addEventListener("abort", () => setTimeout(() => reject(new JobPostponed("stopped", 0)), 1_500))
        ),
    };
    await add(sql, "kind", 1);
    const runner = new JobRunner(sql, { kind }, quiet);
    await until("the work is in progress", async () => (await states(sql)).includes("running 1"));
    await runner[Symbol.asyncDispose]();
    assert.deepEqual(await states(sql), ["waiting 0"]);
  }));
