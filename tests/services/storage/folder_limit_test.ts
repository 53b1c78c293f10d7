import assert from "node:assert/strict";
import { FileStore } from "../../../services/storage/file_store.ts";
import { StorageError } from "../../../services/storage/storage.ts";
import { keys, readText, text } from "../../conformance/storage_suite.ts";
import { seededTest } from "../../support/seeded.ts";
import { assertFoldersBounded, countFiles } from "../../support/storage_folder.ts";

for (const maxEntries of [4, 5, 6, 7, 8]) {
  seededTest(
    `No folder has more than ${maxEntries} entries under concurrent writes and deletions`,
    async (random) => {
      const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
      const there = new Map<string, string>();
      // Too many for two levels of folders.
      const goal = maxEntries ** 2 + 2 * maxEntries;
      try {
        for (let made = 0, round = 0; there.size < goal; round++) {
          // Opened again each round, like another process: it has only the folders.
          await using store = await FileStore.open(folder, { maxEntries });
          for (let workload = 0; workload < 4; workload++) {
            const old = [...there.keys()];
            const changes = Array.from({ length: 4 * maxEntries }, async () => {
              const key = old.length > 0 && random.chance(0.2) ? random.pick(old) : `key-${made++}`;
              const content = `${key} of round ${round}.${workload}`;
              if (random.chance(0.1)) return await store.put(key, brokenStream()).catch(isRefused);
              await store.put(key, text(content));
              there.set(key, content);
            });
            const deletions = old.filter(() => random.chance(0.1)).map(async (key) => {
              await store.delete(key);
              there.delete(key);
            });
            const atWork = Promise.all([...changes, ...deletions]);
            let over = false;
            atWork.finally(() => over = true).catch(() => {});
            while (!over) {
              assertFoldersBounded(folder, maxEntries);
              await new Promise((resolve) => setTimeout(resolve));
            }
            await atWork;
            assertFoldersBounded(folder, maxEntries);
            // A key that was stored and deleted concurrently is in either state.
            for (const key of old) {
              const found = await readText(store, key);
              if (found === undefined) there.delete(key);
              else there.set(key, found);
            }
          }
          for (const [key, content] of there) assert.equal(await readText(store, key), content);
          assert.deepEqual((await keys(store, 7)).sort(), [...there.keys()].sort());
          assert.equal(countFiles(`${folder}/objects`), there.size);
        }
        // Holes are filled before new folders are made.
        await using store = await FileStore.open(folder, { maxEntries });
        const folders = assertFoldersBounded(folder, maxEntries);
        for (const key of there.keys()) await store.delete(key);
        assert.equal(countFiles(`${folder}/objects`), 0);
        for (let i = 0; i < maxEntries; i++) await store.put(`again-${i}`, text("x"));
        assert.equal(assertFoldersBounded(folder, maxEntries), folders);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}

function brokenStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.error(new Error("The source broke")) });
}

function isRefused(error: unknown): void {
  assert.ok(error instanceof StorageError && error.kind === "refused", `${error}`);
}
