import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { getPriority } from "node:os";
import { type CropOutcome, CropSupervisor } from "../../../services/images/crop/supervisor.ts";
import { cropPermissions } from "../../../services/images/crop/permissions.ts";
import type { ImageEngine } from "../../../services/images/engine.ts";
import { openStorage } from "../../../services/storage/open.ts";
import { type GatedStorage, QUIET, startGatedStorage } from "./gated_storage.ts";
import { hugePng, paint, photo, pixelsOf } from "./pictures.ts";
import { CROP_ENTRY } from "../../../workers/children/start_crop.ts";
import { sleep } from "../../../lib/sleep.ts";

const LIMIT = { timeoutMs: 20_000 };
const small = await paint(photo(400, 340)).png().toBuffer();
/** 49 megapixels in 48 KB: slow to decode and large in memory. */
const big = hugePng(7000, 7000);
const onLinux = Deno.build.os === "linux";

/** Uploads are stored at `small` and `big`. */
async function withStorage(run: (storage: GatedStorage, keep: ReturnType<typeof openStorage>) => Promise<void>) {
  await using storage = await startGatedStorage();
  await using keep = openStorage(storage.spec);
  await keep.put("small", small);
  await keep.put("big", big);
  await run(storage, keep);
}

function task(staged: string) {
  return { id: crypto.randomUUID(), staged, key: `of-${staged}` };
}

function reasonOf(outcome: CropOutcome): string {
  return outcome.ok ? "ok" : outcome.reason;
}

for (const engine of ["sharp", "imagescript"] as const) {
  Deno.test(`CropSupervisor crops by ${engine}, one photo after another in one process`, () =>
    withStorage(async ({ spec }, keep) => {
      await using child = new CropSupervisor({ entry: CROP_ENTRY, engine, storage: spec, log: QUIET });
      const tasks = [task("small"), task("missing"), task("small")];
      const outcomes = await Promise.all(tasks.slice(0, 2).map((task) => child.run(task, LIMIT)));
      const { pid } = child;
      outcomes.push(await child.run(tasks[2]!, LIMIT));
      assert.deepEqual(outcomes.map(reasonOf), ["ok", "staged-missing", "ok"]);
      assert.deepEqual(outcomes.map(({ id }) => id), tasks.map(({ id }) => id));
      assert.equal(child.pid, pid);
      assert.ok(getPriority(pid) > getPriority());
      const [first] = outcomes;
      assert.ok(first?.ok);
      assert.deepEqual([first.photo.side, first.photo.variants], [340, [320]]);
      const full = await new Response((await keep.get("of-small"))!.body as BodyInit).bytes();
      assert.equal(full.length, first.photo.bytes);
      assert.equal((await pixelsOf(full)).width, 340);
      assert.ok(await keep.head("of-small.320"));
    }));

  Deno.test(`The process that crops by ${engine} has no other permissions`, () =>
    withStorage(async ({ spec }) => {
      const results = await attempts(engine, spec);
      assert.deepEqual(results, {
        "read a file": "NotCapable",
        "read its own code": "NotCapable",
        "write a file": "NotCapable",
        "run a program": "NotCapable",
        "read the environment": "NotCapable",
        "load other native code": "NotCapable",
        "reach another port": "NotCapable",
        "reach its storage": "done",
      });
    }));
}

Deno.test("CropSupervisor reports a process killed during its work, and continues with a new one", () =>
  withStorage(async (storage) => {
    await using child = new CropSupervisor({ entry: CROP_ENTRY, engine: "sharp", storage: storage.spec, log: QUIET });
    storage.hold();
    const asked = storage.next();
    const waiting = child.run(task("small"), LIMIT);
    await asked;
    const { pid } = child;
    Deno.kill(pid!, "SIGKILL");
    assert.equal(reasonOf(await waiting), "crashed");
    storage.release();

    const fetched = storage.next();
    const decoding = child.run(task("big"), LIMIT);
    await fetched;
    await sleep(100);
    Deno.kill(child.pid!, "SIGKILL");
    assert.equal(reasonOf(await decoding), "crashed");
    assert.equal(reasonOf(await child.run(task("small"), LIMIT)), "ok");
    assert.notEqual(child.pid, pid);
  }));

Deno.test("CropSupervisor does not fail a task for a process that died while idle", () =>
  withStorage(async ({ spec }) => {
    await using child = new CropSupervisor({ entry: CROP_ENTRY, engine: "sharp", storage: spec, log: QUIET });
    await child.run(task("small"), LIMIT);
    Deno.kill(child.pid!, "SIGKILL");
    for (const end = Date.now() + 5_000; child.pid !== undefined && Date.now() < end;) await sleep(10);
    assert.equal(reasonOf(await child.run(task("small"), LIMIT)), "ok");
  }));

Deno.test("CropSupervisor reaches an S3 storage as well", async () => {
  const asked: string[] = [];
  await using bucket = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ method, url }) => {
    asked.push(`${method} ${new URL(url).pathname}`);
    return new Response("<Error><Code>NoSuchKey</Code></Error>", { status: 404 });
  });
  const storage = { kind: "s3", url: `http://key:secret@127.0.0.1:${bucket.addr.port}/photos` } as const;
  await using child = new CropSupervisor({ entry: CROP_ENTRY, engine: "sharp", storage, log: QUIET });
  assert.equal(reasonOf(await child.run(task("small"), LIMIT)), "staged-missing");
  assert.deepEqual(asked, ["GET /photos/small"]);
});

Deno.test("CropSupervisor kills a process at its time limit", () =>
  withStorage(async (storage) => {
    await using child = new CropSupervisor({ entry: CROP_ENTRY, engine: "sharp", storage: storage.spec, log: QUIET });
    await child.run(task("small"), LIMIT);
    const { pid } = child;
    storage.hold();
    const startedAt = performance.now();
    const outcome = await child.run(task("small"), { timeoutMs: 300 });
    assert.deepEqual(!outcome.ok && [outcome.permanent, outcome.reason], [false, "timed-out"]);
    assert.ok(performance.now() - startedAt < 10_000);
    assert.ok(!onLinux || !existsSync(`/proc/${pid}`));
    storage.release();
    assert.equal(reasonOf(await child.run(task("small"), LIMIT)), "ok");
  }));

Deno.test("CropSupervisor crops a small file of 49 megapixels below its memory limit", () =>
  withStorage(async ({ spec }) => {
    await using child = new CropSupervisor({ entry: CROP_ENTRY, engine: "sharp", storage: spec, log: QUIET });
    const outcome = await child.run(task("big"), LIMIT);
    assert.deepEqual(outcome.ok && [outcome.photo.side, outcome.photo.variants], [7000, [1080, 320]]);
  }));

Deno.test({
  name: "CropSupervisor kills a process at its memory limit",
  ignore: !onLinux,
  fn: () =>
    withStorage(async ({ spec }) => {
      const maxMemory = 200 * 1024 * 1024;
      await using child = new CropSupervisor({
        entry: CROP_ENTRY,
        engine: "sharp",
        storage: spec,
        log: QUIET,
        maxMemory,
      });
      const outcome = await child.run(task("big"), LIMIT);
      assert.deepEqual(!outcome.ok && [outcome.permanent, outcome.reason], [false, "out-of-memory"]);
      assert.equal(reasonOf(await child.run(task("small"), LIMIT)), "ok");
    }),
});

Deno.test("CropSupervisor replaces its process after a number of tasks", () =>
  withStorage(async ({ spec }) => {
    await using child = new CropSupervisor({
      entry: CROP_ENTRY,
      engine: "sharp",
      storage: spec,
      log: QUIET,
      tasksPerProcess: 2,
    });
    await child.run(task("small"), LIMIT);
    const { pid } = child;
    assert.equal(reasonOf(await child.run(task("small"), LIMIT)), "ok");
    assert.equal(reasonOf(await child.run(task("small"), LIMIT)), "ok");
    assert.notEqual(child.pid, pid);
  }));

Deno.test("CropSupervisor aborts its tasks when it is disposed, and accepts no more", () =>
  withStorage(async (storage) => {
    const child = new CropSupervisor({ entry: CROP_ENTRY, engine: "sharp", storage: storage.spec, log: QUIET });
    storage.hold();
    const asked = storage.next();
    const waiting = [child.run(task("small"), LIMIT), child.run(task("small"), LIMIT)];
    await asked;
    const { pid } = child;
    await child[Symbol.asyncDispose]();
    assert.deepEqual((await Promise.all(waiting)).map(reasonOf), ["crashed", "crashed"]);
    assert.ok(!onLinux || !existsSync(`/proc/${pid}`));
  }));

for (
  const { engine, decoding } of [{ engine: "sharp", decoding: true }, { engine: "sharp", decoding: false }, {
    engine: "imagescript",
    decoding: true,
  }] as const
) {
  Deno.test({
    name: `The process that crops by ${engine} ends after its parent was killed${
      decoding ? ", also during a decode" : ""
    }`,
    ignore: !onLinux,
    fn: () =>
      withStorage(async (storage) => {
        const fetched = storage.next();
        const parent = new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", new URL("crop_parent.ts", import.meta.url).href],
          env: {
            TASK: JSON.stringify(task(decoding ? "big" : "small")),
            ENGINE: engine,
            SPEC: JSON.stringify(storage.spec),
          },
          stdout: "piped",
        }).spawn();
        const output = parent.stdout.pipeThrough(new TextDecoderStream()).getReader();
        const pid = Number((await output.read()).value);
        await fetched;
        if (decoding) await sleep(100);
        else await output.read();
        assert.ok(existsSync(`/proc/${pid}`));
        parent.kill("SIGKILL");
        await parent.status;
        await output.cancel();
        for (const end = Date.now() + 60_000; existsSync(`/proc/${pid}`);) {
          assert.ok(Date.now() < end, "the process has not ended");
          await sleep(20);
        }
      }),
  });
}

async function attempts(engine: ImageEngine["name"], spec: GatedStorage["spec"]): Promise<unknown> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", ...cropPermissions(engine, spec)],
      ...[new URL("forbidden_operations.ts", import.meta.url).href, spec.url],
    ],
    stderr: "inherit",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}
