import { expectedFiles, knownFiles } from "../../db/files.ts";
import type { Sql } from "../../db/sql.ts";
import { scrub, type ScrubReport } from "./scrub.ts";
import type { Storage } from "./storage.ts";

const PHOTO_BATCH = 300;

/** Compares the files in storage with the photos in the database; changes nothing. */
export async function scrubFiles(
  sql: Sql,
  storage: Storage,
  { olderThanMs, onStep = () => {} }: { olderThanMs: number; onStep?: (looked: number) => void },
): Promise<ScrubReport> {
  const whole: ScrubReport = { orphans: [], missing: [], looked: 0 };
  for await (const step of scrub(storage, (keys) => knownFiles(sql, keys), allExpected(sql), { olderThanMs })) {
    whole.orphans.push(...step.orphans);
    whole.missing.push(...step.missing);
    whole.looked += step.looked;
    onStep(whole.looked);
  }
  return whole;
}

async function* allExpected(sql: Sql): AsyncGenerator<string[]> {
  for (let after = "";;) {
    const photos = await expectedFiles(sql, after, PHOTO_BATCH);
    if (photos.length === 0) return;
    yield photos.flatMap(({ files }) => files);
    after = photos.at(-1)!.photo;
  }
}
