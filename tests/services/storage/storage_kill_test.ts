import assert from "node:assert/strict";
import { StorageError } from "../../../services/storage/storage.ts";
import { bytes, equal, inPieces, keys, noise } from "../../conformance/storage_suite.ts";
import { seededTest } from "../../support/seeded.ts";
import { assertFoldersBounded, countFiles } from "../../support/storage_folder.ts";
import { StorageProcess } from "../../support/storage_process.ts";
import { until } from "../../support/wait.ts";

const ROUNDS = 4;
const WRITERS = 24;
const MAX_ENTRIES = 8;

/** The contents that a key may have: the last acknowledged one, or a later one without an answer. */
interface Written {
  acknowledged?: Uint8Array;
  open: Uint8Array[];
}

seededTest(
  "A storage killed during many writes keeps every acknowledged object, complete, and no partial one",
  async (random) => {
    await using process = await StorageProcess.start({ maxEntries: MAX_ENTRIES });
    const written = new Map<string, Written>();
    for (let round = 0; round < ROUNDS; round++) {
      await using storage = process.client();
      let [done, stopped] = [0, false];
      const workload = Promise.all(Array.from({ length: WRITERS }, async (_, writer) => {
        for (let i = 0; !stopped; i++) {
          // A writer replaces only its own keys, so their last acknowledged content is known.
          const key = random.chance(0.2) ? `own-${writer}` : `key-${round}-${writer}-${i}.240`;
          const content = noise(random.whole(0, 200_000), random.whole(0, 1_000_000));
          const entry = written.get(key) ?? { open: [] };
          entry.open.push(content);
          written.set(key, entry);
          try {
            const body = random.chance(0.5) ? content : inPieces(content, 20_000);
            assert.equal((await storage.put(key, body)).size, content.length);
            written.set(key, { acknowledged: content, open: [] });
            done++;
          } catch (error) {
            assert.ok(error instanceof StorageError && error.kind === "unavailable", `${error}`);
            return;
          }
        }
      }));
      const wanted = random.whole(60, 150);
      await until("enough writes of the workload", () => done >= wanted, { everyMs: 1 });
      await process.kill();
      stopped = true;
      await workload;
      // After a crash the folders are within the limit, before any cleanup.
      assertFoldersBounded(process.folder, MAX_ENTRIES);
      await process.restart();
      assert.equal(countFiles(`${process.folder}/staging`), 0);
      await using reader = process.client();
      for (const [key, { acknowledged, open }] of written) {
        const read = await reader.get(key);
        const content = read && await bytes(read.body);
        assert.ok(content ?? !acknowledged, `${key} was acknowledged and is missing`);
        const allowed = acknowledged ? [acknowledged, ...open] : open;
        if (content) assert.ok(allowed.some((each) => equal(each, content)), `${key} has none of its contents`);
        if (content) written.set(key, { acknowledged: content, open: [] });
        else written.delete(key);
      }
      assert.deepEqual((await keys(reader, 100)).sort(), [...written.keys()].sort());
      assert.equal(countFiles(`${process.folder}/objects`), written.size);
    }
  },
);
