import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { copyFiles, namedFiles } from "../../../tasks/backup/photos.ts";
import { FileStore } from "../../../services/storage/file_store.ts";
import { emptyFolder } from "../../support/node_process.ts";

const COLUMNS = ["key", "alt", "state", "variants", "staged_key"];

Deno.test("The files that a table of photos names are copied, and deleted ones are counted", async () => {
  await using folder = await emptyFolder();
  await using storage = await FileStore.open(`${folder.path}/store`, { maxEntries: 100 });
  const rows = [
    ["ready", "a tab\\t and a break\\n", "ready", "{1080,320}", "\\N"],
    ["small", "\\N", "ready", "{}", "\\N"],
    // Cropped since the tables were written, so its upload is deleted.
    ["cropped", "\\N", "processing", "{}", "upload1"],
    ["waits", "\\N", "processing", "{}", "upload2"],
    ["failed", "\\N", "failed", "{}", "\\N"],
    ["deleted", "\\N", "ready", "{320}", "\\N"],
  ];
  for (const key of ["ready", "ready.1080", "ready.320", "small", "cropped", "upload2"]) {
    await storage.put(key, new TextEncoder().encode(`bytes of ${key}`));
  }
  const text = Readable.from([new TextEncoder().encode(rows.map((row) => row.join("\t") + "\n").join(""))]);
  const copiedKeys: string[] = [];
  const copied = await copyFiles(storage, namedFiles(text, COLUMNS), folder.path, (key) => void copiedKeys.push(key));
  assert.deepEqual([copied.count, copied.gone.length], [6, 2]);
  assert.deepEqual(new Set(copiedKeys), new Set(["ready", "ready.1080", "ready.320", "small", "upload1", "upload2"]));
  const instead = await Deno.readTextFile(`${folder.path}/upload1`);
  assert.equal(instead, "bytes of cropped", "the cropped photo is stored in place of its upload");
});
