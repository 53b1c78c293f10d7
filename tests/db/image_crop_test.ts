/** The job of a photo for each outcome of its crop, with fake croppers. */
import assert from "node:assert/strict";
import type { JobRef } from "../../db/jobs.ts";
import { CROP_JOB, PHOTO_RESULT_JOB } from "../../db/photos.ts";
import type { Sql } from "../../db/sql.ts";
import { imageCropJobs } from "../../jobs/image_crop.ts";
import { JobRunner } from "../../jobs/runner.ts";
import { Log } from "../../lib/log.ts";
import { newId } from "../../lib/ids.ts";
import type { CropOutcome } from "../../services/images/crop/supervisor.ts";
import type { CropResult } from "../../services/images/crop/task.ts";
import { LocalJobQueue } from "../../jobs/queue/local.ts";
import { openTestDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

const quiet = new class extends Log {
  override warn() {}
}("error");

const PHOTO: CropResult = { format: "jpeg", side: 100, bytes: 1_000, variants: [], placeholder: "hash" };
const failed =
  (reason: "engine-failed" | "no-image" | "storage-unavailable" | "crashed", permanent = false) => (id: string) =>
    ({ id, ok: false, permanent, reason, message: "a message" }) as CropOutcome;

interface JobRow {
  kind: string;
  state: string;
  attempts: number;
  /** Seconds until it is due. */
  pause: number;
  /** Seconds since its creation. */
  age: number;
  last_error: string | null;
  result: Record<string, unknown> | null;
}

interface World {
  sql: Sql;
  id: string;
  results: JobRef[];
  row(): Promise<JobRow>;
}

/**
 * The job after an attempt and before the next. One that is only in the queue waits as well, for longer than any pause,
 * so that it is not lost with the queue.
 */
function paused(row: JobRow): JobRow | false {
  return row.state === "waiting" && row.last_error !== null && row.pause < 10 && row;
}

/** One photo's job, with earlier attempts, and one cropper. */
async function withCropper(
  crop: (id: string) => CropOutcome | Promise<CropOutcome>,
  test: (world: World) => Promise<void>,
  { attempts = 0, dispose = () => {} } = {},
): Promise<void> {
  await using sql = await openTestDatabase();
  const id = newId();
  await sql.execute(
    "insert into jobs (id, kind, payload, run_at, attempts) values ($1, $2, $3, now(), $4)",
    [id, CROP_JOB, JSON.stringify({ staged: "staged-1", key: "key-1" }), attempts],
  );
  const results: JobRef[] = [];
  const child = {
    run: (task: { id: string }) => Promise.resolve(crop(task.id)),
    [Symbol.asyncDispose]: () => Promise.resolve(dispose()),
  };
  await using queue = new LocalJobQueue();
  const kinds = imageCropJobs({ sql, queue, children: [child], log: quiet, onResult: (job) => results.push(job) });
  await using _runner = new JobRunner(sql, kinds, quiet);
  const row = async () => {
    const [found] = await sql.query<JobRow>(
      `select kind, state, attempts, extract(epoch from run_at - now())::float8 as pause,
        extract(epoch from now() - created_at)::float8 as age, last_error, payload -> 'result' as result
      from jobs where id = $1`,
      [id],
    );
    return found!;
  };
  await test({ sql, id, results, row });
}

Deno.test("A successful crop is passed to the photo's actor, and its notification is sent", () =>
  withCropper((id) => ({ id, ok: true, photo: PHOTO }), async ({ id, results, row }) => {
    await until("the result is passed on", () => results.length === 1);
    assert.deepEqual(results, [{ kind: PHOTO_RESULT_JOB, id }]);
    const { kind, state, attempts, result } = await row();
    assert.deepEqual({ kind, state, attempts }, { kind: PHOTO_RESULT_JOB, state: "waiting", attempts: 0 });
    const { bytes: _, ...photo } = PHOTO;
    assert.deepEqual(result, { id, ok: true, ...photo });
  }));

Deno.test("A failed crop is retried after a pause", () =>
  withCropper(failed("crashed"), async ({ row }) => {
    const { kind, attempts, pause, age } = await until("the job waits again", async () => paused(await row()));
    assert.deepEqual({ kind, attempts }, { kind: CROP_JOB, attempts: 1 });
    // Between 1 and 2 s after the attempt, which was after the job's creation.
    assert.ok(pause + age >= 1 && pause <= 2, `${pause} s, ${age} s after its creation`);
  }));

Deno.test("A photo that no attempt could crop has failed with the last reason", () =>
  withCropper(failed("engine-failed"), async ({ id, results, row }) => {
    await until("the result is passed on", () => results.length === 1);
    assert.deepEqual((await row()).result, { id, ok: false, problem: "engine-failed" });
  }, { attempts: 3 }));

Deno.test("A file that is not an image fails at once", () =>
  withCropper(failed("no-image", true), async ({ id, results, row }) => {
    await until("the result is passed on", () => results.length === 1);
    assert.deepEqual((await row()).result, { id, ok: false, problem: "no-image" });
  }));

Deno.test("While the storage is unavailable no attempt counts", () =>
  withCropper(failed("storage-unavailable"), async ({ row }) => {
    const { kind, attempts, pause } = await until("the job waits again", async () => paused(await row()));
    assert.deepEqual({ kind, attempts }, { kind: CROP_JOB, attempts: 7 });
    assert.ok(pause <= 2, String(pause));
  }, { attempts: 7 }));

Deno.test("An impossible photo from the crop process is rejected", () =>
  withCropper((id) => ({ id, ok: true, photo: { ...PHOTO, side: 60_000 } }), async ({ id, results, row }) => {
    await until("the result is passed on", () => results.length === 1);
    assert.deepEqual((await row()).result, { id, ok: false, problem: "engine-failed" });
  }, { attempts: 3 }));

Deno.test("A stop aborts a crop, and its attempt does not count", async () => {
  await using sql = await openTestDatabase();
  const id = newId();
  const payload = JSON.stringify({ staged: "staged-1", key: "key-1" });
  await sql.execute("insert into jobs (id, kind, payload, run_at) values ($1, $2, $3, now())", [id, CROP_JOB, payload]);
  const { promise, resolve } = Promise.withResolvers<CropOutcome>();
  const child = {
    run: () => promise,
    [Symbol.asyncDispose]: () => Promise.resolve(resolve(failed("crashed")(id))),
  };
  await using queue = new LocalJobQueue();
  const runner = new JobRunner(
    sql,
    imageCropJobs({ sql, queue, children: [child], log: quiet, onResult: () => {} }),
    quiet,
  );
  const states = async () => await sql.query("select state, attempts, run_at <= now() as due from jobs");
  await until("the work is in progress", async () => (await states())[0]!["state"] === "running");
  await runner[Symbol.asyncDispose]();
  assert.deepEqual(await states(), [{ state: "waiting", attempts: 0, due: true }]);
});
