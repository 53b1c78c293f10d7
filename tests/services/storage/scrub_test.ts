import assert from "node:assert/strict";
import { FileStore } from "../../../services/storage/file_store.ts";
import { scrub, type ScrubReport } from "../../../services/storage/scrub.ts";
import type { Storage } from "../../../services/storage/storage.ts";
import { text } from "../../conformance/storage_suite.ts";

const HOUR = 3_600_000;

function test(name: string, run: (storage: Storage, folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
    try {
      await using storage = await FileStore.open(folder, { maxEntries: 6 });
      await run(storage, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

test("A scrub finds orphaned objects and missing ones", async (storage) => {
  const there = Array.from({ length: 30 }, (_, i) => `there-${i}`);
  for (const key of there) await storage.put(key, text("x"));
  const rows = new Set(there.filter((_, i) => i % 10 !== 0).concat("lost-1", "lost-2.240"));
  const asked: number[] = [];
  const known = async (keys: string[]) => {
    asked.push(keys.length);
    return new Set(keys.filter((key) => rows.has(key)));
  };
  const found = await sum(scrub(storage, known, pages([...rows], 7), { olderThanMs: HOUR, now: later, batch: 8 }));
  assert.deepEqual(found.orphans.map(({ key }) => key).sort(), ["there-0", "there-10", "there-20"]);
  assert.deepEqual(found.missing.sort(), ["lost-1", "lost-2.240"]);
  assert.equal(found.looked, there.length + rows.size);
  assert.ok(Math.max(...asked) <= 8, "it asks for one batch at a time");
  assert.equal((await storage.list({ limit: 100 })).length, there.length, "a scrub changes nothing");
});

test("A scrub ignores young objects", async (storage) => {
  await storage.put("young", text("x"));
  const nobody = () => Promise.resolve(new Set<string>());
  assert.deepEqual((await sum(scrub(storage, nobody, pages([], 1), { olderThanMs: HOUR }))).orphans, []);
  const old = await sum(scrub(storage, nobody, pages([], 1), { olderThanMs: HOUR, now: later }));
  assert.deepEqual(old.orphans.map(({ key }) => key), ["young"]);
});

test("A scrub does not report objects deleted while it ran as missing", async (storage) => {
  const nobody = () => Promise.resolve(new Set<string>());
  assert.deepEqual((await sum(scrub(storage, nobody, pages(["gone"], 1), { olderThanMs: HOUR }))).missing, []);
});

test("A scrub reports a damaged object as missing and continues", async (storage, folder) => {
  await storage.put("damaged", text("x"));
  const [{ name }] = [...Deno.readDirSync(`${folder}/objects`)] as [Deno.DirEntry];
  await Deno.truncate(`${folder}/objects/${name}`, 100);
  await storage.put("whole", text("x"));
  const all = (keys: string[]) => Promise.resolve(new Set(keys));
  const found = await sum(scrub(storage, all, pages(["damaged", "whole"], 9), { olderThanMs: 0, now: later }));
  assert.deepEqual([found.orphans, found.missing], [[], ["damaged"]]);
});

function later(): number {
  return Date.now() + 2 * HOUR;
}

async function* pages(keys: string[], size: number): AsyncGenerator<string[]> {
  for (let i = 0; i < keys.length; i += size) yield keys.slice(i, i + size);
}

async function sum(reports: AsyncIterable<ScrubReport>): Promise<ScrubReport> {
  const whole: ScrubReport = { orphans: [], missing: [], looked: 0 };
  for await (const { orphans, missing, looked } of reports) {
    whole.orphans.push(...orphans);
    whole.missing.push(...missing);
    whole.looked += looked;
  }
  return whole;
}
