/** The log of an unusable storage. */
import assert from "node:assert/strict";
import { Log } from "../../../lib/log.ts";
import { LoggedStorage } from "../../../services/storage/logged_storage.ts";
import { parseS3Url } from "../../../services/storage/s3_options.ts";
import { S3Storage } from "../../../services/storage/s3_storage.ts";
import type { Storage } from "../../../services/storage/storage.ts";
import { startS3 } from "../../support/s3_server.ts";
import { until } from "../../support/wait.ts";

class RecordingLog extends Log {
  lines: { message: string; error: string }[] = [];
  constructor() {
    super("error");
  }
  override info(message: string): void {
    this.lines.push({ message, error: "" });
  }
  override error(message: string, { error }: { error?: unknown } = {}): void {
    this.lines.push({ message, error: String(error) });
  }
  count(word: string): number {
    return this.lines.filter(({ message }) => message.includes(word)).length;
  }
}

/** Connections close a moment after the test. */
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "A missing bucket and a wrong secret are logged at the start and at an upload",
  ...options,
  fn: async () => {
    await using s3 = await startS3();
    const right = parseS3Url(s3.url);
    for (
      const [wrong, reason] of [
        [{ ...right, bucket: "not-there" }, /NoSuchBucket/],
        [{ ...right, secretAccessKey: "wrong" }, /40[13]/],
      ] as const
    ) {
      const log = new RecordingLog();
      await using storage = new LoggedStorage(new S3Storage(wrong), log, 20);
      await until("it is in the log", () => log.count("photo storage unavailable") === 1);
      assert.match(log.lines[0]!.error, reason);
      for (let i = 0; i < 3; i++) await assert.rejects(storage.put("a", new Uint8Array(3)));
      assert.equal(log.count("photo storage failed"), 1, "repeated failures are logged once per interval");
      assert.ok(!JSON.stringify(log.lines).includes(right.secretAccessKey));
    }
    const log = new RecordingLog();
    await using storage = new LoggedStorage(new S3Storage(right), log);
    await storage.put("a", new Uint8Array(3));
    // An error of the caller, not of the storage.
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("gone")) });
    await assert.rejects(storage.put("b", broken));
    assert.deepEqual(log.lines, []);
  },
});

Deno.test("A storage that becomes available later is logged once", async () => {
  let there = false;
  const late = {
    list: () => there ? Promise.resolve([]) : Promise.reject(new Error("away")),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as Storage;
  const log = new RecordingLog();
  await using _storage = new LoggedStorage(late, log, 5);
  await until("it is unavailable", () => log.count("photo storage unavailable") === 1);
  there = true;
  await until("it is there", () => log.count("photo storage available") === 1);
  assert.equal(log.lines.length, 2);
});
