import assert from "node:assert/strict";
import { FileStore } from "../../../services/storage/file_store.ts";
import { bytes, fails, keys, noise, readText, storageSuite, text } from "../../conformance/storage_suite.ts";

storageSuite("FileStore", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
  const store = await FileStore.open(folder, { maxEntries: 4 });
  const close = store[Symbol.asyncDispose].bind(store);
  return Object.assign(store, {
    async [Symbol.asyncDispose]() {
      await close();
      await Deno.remove(folder, { recursive: true });
    },
  });
});

function test(name: string, run: (folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
    try {
      await run(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

test("FileStore is open in one process at a time, and can wait until another closes it", async (folder) => {
  const first = await FileStore.open(folder, { maxEntries: 10 });
  await fails("unavailable", FileStore.open(folder, { maxEntries: 10 }));
  const waiting = FileStore.open(folder, { maxEntries: 10, lockWaitMs: 10_000 });
  await first.put("a", text("x"));
  await first[Symbol.asyncDispose]();
  await using second = await waiting;
  assert.equal(await readText(second, "a"), "x");
  await fails("unavailable", first.put("b", text("x")));
});

test("FileStore removes incomplete writes at its start", async (folder) => {
  await (await FileStore.open(folder, { maxEntries: 4 }))[Symbol.asyncDispose]();
  for (const name of ["1", "2", "layout"]) await Deno.writeTextFile(`${folder}/staging/${name}`, "half");
  await using store = await FileStore.open(folder, { maxEntries: 4 });
  assert.deepEqual([...Deno.readDirSync(`${folder}/staging`)], []);
  await store.put("a", text("x"));
});

test("FileStore finds every object after its limit grows, and rejects a smaller limit", async (folder) => {
  const all = Array.from({ length: 60 }, (_, i) => `key-${i}`);
  {
    await using store = await FileStore.open(folder, { maxEntries: 4 });
    for (const key of all.slice(0, 40)) await store.put(key, text(key));
  }
  {
    await using store = await FileStore.open(folder, { maxEntries: 50 });
    for (const key of all.slice(40)) await store.put(key, text(key));
    for (const key of all) assert.equal(await readText(store, key), key);
    assert.equal((await keys(store, 7)).length, all.length);
  }
  await fails("refused", FileStore.open(folder, { maxEntries: 49 }));
  await fails("refused", FileStore.open(`${folder}/other`, { maxEntries: 3 }));
  await using again = await FileStore.open(folder, { maxEntries: 50 });
  assert.equal((await keys(again, 7)).length, all.length);
});

test("FileStore never returns a file that was truncated or extended", async (folder) => {
  await using store = await FileStore.open(folder, { maxEntries: 10 });
  await store.put("a", noise(1000, 1));
  const [{ name }] = [...Deno.readDirSync(`${folder}/objects`)] as [Deno.DirEntry];
  const path = `${folder}/objects/${name}`;
  const whole = await Deno.readFile(path);
  for (const broken of [whole.subarray(0, -1), whole.subarray(0, 100), new Uint8Array(), new Uint8Array(1256)]) {
    await Deno.writeFile(path, broken);
    await fails("fault", store.get("a"));
    await fails("fault", store.head("a"));
  }
  await store.put("a", noise(1000, 1));
  assert.deepEqual(await bytes((await store.get("a"))!.body), noise(1000, 1));
});

test("FileStore lets a reader finish with a deleted or replaced object", async (folder) => {
  await using store = await FileStore.open(folder, { maxEntries: 10 });
  const old = noise(500_000, 1);
  await store.put("a", old);
  const [first, second] = [await store.get("a"), await store.get("a")];
  await store.put("a", text("new"));
  assert.deepEqual(await bytes(first!.body), old);
  await store.delete("a");
  assert.deepEqual(await bytes(second!.body), old);
  assert.equal(await store.head("a"), undefined);
});

test("FileStore queues uploads when all places are taken, and a queued one can be aborted", async (folder) => {
  await using store = await FileStore.open(folder, { maxEntries: 4 });
  const aborters = Array.from({ length: 5 }, () => new AbortController());
  const [held, waiting] = [aborters.slice(0, 4), aborters[4]!];
  const stuck = held.map(({ signal }, i) =>
    fails("refused", store.put(`stuck-${i}`, new ReadableStream(), { signal }))
  );
  const given = fails("refused", store.put("waiting", text("x"), { signal: waiting.signal }));
  const patient = store.put("patient", text("x"));
  assert.equal(
    await Promise.race([patient, new Promise((resolve) => setTimeout(() => resolve("waits"), 50))]),
    "waits",
  );
  waiting.abort();
  await given;
  held[2]!.abort();
  await patient;
  for (const aborter of held) aborter.abort();
  await Promise.all(stuck);
  assert.deepEqual(await keys(store, 9), ["patient"]);
  assert.deepEqual([...Deno.readDirSync(`${folder}/staging`)], []);
});
