import assert from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import { Staging } from "../../../services/images/staging.ts";
import type { Storage } from "../../../services/storage/storage.ts";
import { sleep } from "../../../lib/sleep.ts";
import { openTestDatabase } from "../../support/database.ts";
import { pngOf } from "../../support/pictures.ts";
import { until } from "../../support/wait.ts";

const CHUNK = 64 * 1024;
const MAX_IN_MEMORY = 1024 * 1024;

/** A photo of 14 MB, produced on demand; `given` counts its bytes. */
async function upload(): Promise<{ body: ReadableStream<Uint8Array>; given: () => number }> {
  const head = await pngOf(300, 200);
  let given = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = new Uint8Array(CHUNK);
      if (given === 0) chunk.set(head.subarray(0, CHUNK));
      given += CHUNK;
      controller.enqueue(chunk);
      if (given >= 14 * 1024 * 1024) controller.close();
    },
  }, { highWaterMark: 0 });
  return { body, given: () => given };
}

/** A storage that reads when the test opens its gate. */
function slowStorage(gate: Promise<void>): Storage & { taken: () => number } {
  let taken = 0;
  return {
    taken: () => taken,
    async put(key: string, body: ReadableStream<Uint8Array>) {
      for await (const chunk of body) {
        taken += chunk.byteLength;
        await gate;
      }
      return { key, size: taken, etag: "e", stored_at: "" };
    },
  } as unknown as Storage & { taken: () => number };
}

Deno.test("Staging buffers at most a megabyte beyond what the storage accepts", async () => {
  await using sql = await openTestDatabase();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const storage = slowStorage(gate);
  const { body, given } = await upload();
  const staged = new Staging(storage, sql, ["png"]).stage({ name: "a.png", alt: null, body, path: "photos.0.data" });
  await until("the storage takes bytes", () => storage.taken() > 0);
  await sleep(300);
  assert.ok(given() - storage.taken() <= MAX_IN_MEMORY, `${given() - storage.taken()} bytes wait in memory`);
  open();
  const photo = await staged;
  assert.equal(storage.taken(), 14 * 1024 * 1024);
  const known = await sql.query<{ key: string; taken: boolean }>("select key, taken from unowned_files");
  assert.deepEqual(known, [{ key: photo.staged_key, taken: false }]);
});

Deno.test("An upload is recorded before its first byte is stored, and deleted at once if rejected", async () => {
  await using sql = await openTestDatabase();
  let known = 0;
  const storage = {
    async put(_: string, body: ReadableStream<Uint8Array>) {
      known = (await sql.query("select 1 from unowned_files where due_at > now()")).length;
      for await (const _ of body);
      throw new Error("a refused body ends before its end");
    },
  } as unknown as Storage;
  const staging = new Staging(storage, sql, ["jpeg"]);
  const refused = staging.stage({ name: "a.png", alt: null, body: await pngOf(30, 20), path: "photos.3.data" });
  await assert.rejects(
    refused,
    (error: unknown) => error instanceof AppError && error.errors?.[0]?.path === "photos.3.data",
  );
  assert.equal(known, 1);
  assert.equal((await sql.query("select 1 from unowned_files where due_at <= now()")).length, 1);
});
