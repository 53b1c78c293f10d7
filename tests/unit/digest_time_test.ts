import assert from "node:assert/strict";
import { nextDigest } from "../../actors/digest_time.ts";

const DAY = 86_400_000;

const TABLE: [now: string, everyMs: number, next: string][] = [
  ["2026-05-04T07:00:00.000Z", DAY, "2026-05-04T08:00:00.000Z"],
  ["2026-05-04T07:58:59.999Z", DAY, "2026-05-04T08:00:00.000Z"],
  // The last minute belongs to the next day.
  ["2026-05-04T07:59:00.000Z", DAY, "2026-05-05T08:00:00.000Z"],
  ["2026-05-04T08:00:00.000Z", DAY, "2026-05-05T08:00:00.000Z"],
  ["2026-05-04T23:59:59.000Z", DAY, "2026-05-05T08:00:00.000Z"],
  ["2026-12-31T12:00:00.000Z", DAY, "2027-01-01T08:00:00.000Z"],
  // Short intervals, for trials.
  ["2026-05-04T07:00:00.000Z", 10_000, "2026-05-04T07:00:10.000Z"],
  ["2026-05-04T07:00:06.000Z", 10_000, "2026-05-04T07:00:20.000Z"],
];
for (const [now, everyMs, next] of TABLE) {
  Deno.test(`A post of ${now} is in the digest of ${next}, with one every ${everyMs / 1000} s`, () => {
    assert.equal(nextDigest(Date.parse(now), everyMs), next);
  });
}
