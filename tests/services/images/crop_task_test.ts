import assert from "node:assert/strict";
import type { CroppedPhoto, ImageEngine } from "../../../services/images/engine.ts";
import { cropTask } from "../../../services/images/crop/task.ts";
import { sharpEngine } from "../../../services/images/sharp_engine.ts";
import { type Storage, StorageError, type StoredObject } from "../../../services/storage/storage.ts";
import { cells, draw, hugePng, paint, photo, pixelsOf } from "./pictures.ts";

type Keep = Pick<Storage, "get" | "put"> & { objects: Map<string, Uint8Array> };

/** A storage in memory; `broken` keys are unavailable. */
function memory(objects: Record<string, Uint8Array> = {}, broken: string[] = [], error?: Error): Keep {
  const kept = new Map(Object.entries(objects));
  const reach = (key: string) => {
    if (broken.includes(key)) throw error ?? new StorageError("unavailable", "The storage is unavailable");
  };
  const described = (key: string, bytes: Uint8Array): StoredObject => ({
    key,
    size: bytes.length,
    etag: "e",
    stored_at: "2020-01-01T00:00:00Z",
  });
  return {
    objects: kept,
    async get(key) {
      reach(key);
      const bytes = kept.get(key);
      return bytes && { object: described(key, bytes), body: new Blob([bytes as BlobPart]).stream() };
    },
    async put(key, body) {
      reach(key);
      kept.set(key, body as Uint8Array);
      return described(key, body as Uint8Array);
    },
  };
}

const TASK = { id: "7", staged: "staged", key: "key" };
const upload = await paint(photo(500, 400)).png().toBuffer();

Deno.test("A crop task stores the square and its variants, and reports them", async () => {
  const storage = memory({ staged: upload });
  const answer = await cropTask(storage, sharpEngine, TASK);
  assert.ok(answer.ok);
  const { placeholder, ...photo } = answer.photo;
  const full = storage.objects.get("key")!;
  assert.deepEqual([answer.id, photo], ["7", { format: "jpeg", side: 400, bytes: full.length, variants: [320] }]);
  assert.equal(placeholder.length, 36);
  assert.deepEqual([...storage.objects.keys()], ["staged", "key.320", "key"]);
  assert.equal((await pixelsOf(full)).width, 400);
  assert.equal((await pixelsOf(storage.objects.get("key.320")!)).width, 320);
});

Deno.test("A repeated crop task has the same result", async () => {
  const storage = memory({ staged: upload });
  const first = await cropTask(storage, sharpEngine, TASK);
  const kept = new Map(storage.objects);
  assert.deepEqual(await cropTask(storage, sharpEngine, TASK), first);
  assert.deepEqual(storage.objects, kept);
});

Deno.test("A crop task reports a permanent failure for errors that no retry would fix", async () => {
  const small = await paint(draw(20, 20, () => [1, 2, 3])).jpeg().toBuffer();
  const cases: [bytes: Uint8Array | undefined, reason: string][] = [
    [undefined, "staged-missing"],
    [new Uint8Array(), "no-image"],
    [new TextEncoder().encode("GIF89a and so on"), "no-image"],
    [small.subarray(0, small.length - 40), "no-image"],
    [hugePng(50_000, 50_000, { wholly: false }), "too-many-pixels"],
  ];
  for (const [bytes, reason] of cases) {
    const storage = memory(bytes ? { staged: bytes } : {});
    const answer = await cropTask(storage, sharpEngine, TASK);
    assert.ok(!answer.ok && answer.message.length > 0);
    assert.deepEqual([answer.permanent, answer.reason], [true, reason]);
    assert.ok(!storage.objects.has("key"));
  }
});

Deno.test("A crop task checks the header before anything is decoded", async () => {
  const engine: ImageEngine = {
    name: "sharp",
    reads: ["png"],
    crop: () => assert.fail("the picture was decoded") as unknown as Promise<CroppedPhoto>,
  };
  const storage = memory({ staged: hugePng(50_000, 50_000, { wholly: false }) });
  const answer = await cropTask(storage, engine, TASK);
  assert.equal(!answer.ok && answer.reason, "too-many-pixels");
});

Deno.test("A crop task is retryable when the storage is unavailable at any of its steps", async () => {
  for (const key of ["staged", "key.320", "key"]) {
    for (const error of [undefined, new TypeError("reset")]) {
      const storage = memory({ staged: upload }, [key], error);
      const answer = await cropTask(storage, sharpEngine, TASK);
      assert.deepEqual(!answer.ok && [answer.permanent, answer.reason], [false, "storage-unavailable"]);
      assert.ok(!storage.objects.has("key"));
    }
  }
});

Deno.test("A crop task is retryable when the engine itself fails", async () => {
  const engine: ImageEngine = { name: "sharp", reads: [], crop: () => Promise.reject(new Error("out of handles")) };
  const answer = await cropTask(memory({ staged: await paint(cells(9, 9)).png().toBuffer() }), engine, TASK);
  assert.deepEqual(answer, {
    id: "7",
    ok: false,
    permanent: false,
    reason: "engine-failed",
    message: "out of handles",
  });
});
