/** What every `Storage` driver must do (`services/storage/storage.ts`). */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { MAX_OBJECT_BYTES, type Storage, StorageError, type StorageErrorKind } from "../../services/storage/storage.ts";

const MIB = 1024 * 1024;

interface Options {
  /** False for a fake that rejects suffix ranges longer than the object. */
  takesLongSuffixes?: boolean;
}

type StorageTest = (name: string, run: (storage: Storage) => Promise<void>) => void;

/** `open` returns an empty storage each time. */
export function storageSuite(driver: string, open: () => Promise<Storage>, options: Options = {}): void {
  const test: StorageTest = (name, run) =>
    Deno.test({
      name: `${driver}: ${name}`,
      // Connections close a moment after the test.
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        await using storage = await open();
        await run(storage);
      },
    });

  contentTests(test);
  rangeTests(test, options);
  interruptionTests(test);
  keyTests(test);
  concurrencyTests(test);
}

function contentTests(test: StorageTest): void {
  test("returns what was stored, complete and with its metadata", async (storage) => {
    const before = Date.now();
    const content = noise(300_000, 1);
    const put = await storage.put("V1StGXR8_Z5jdHi6B-myT0.1080", content);
    assert.deepEqual([put.key, put.size], ["V1StGXR8_Z5jdHi6B-myT0.1080", content.length]);
    assert.match(put.etag, /^[^"]+$/);
    assert.ok(Math.abs(Date.parse(put.stored_at) - before) < 10_000, put.stored_at);
    const head = await storage.head(put.key);
    assert.deepEqual({ ...head, stored_at: "" }, { ...put, stored_at: "" });
    const read = await storage.get(put.key);
    assert.deepEqual({ ...read?.object, stored_at: "" }, { ...put, stored_at: "" });
    assert.equal(read?.range, undefined);
    same(await bytes(read!.body), content);
  });

  test("accepts streams of any length up to the limit", async (storage) => {
    for (const size of [0, 1, 8 * MIB - 1, 8 * MIB, 17 * MIB + 3, MAX_OBJECT_BYTES]) {
      const content = noise(size, size);
      assert.equal((await storage.put("long", inPieces(content, 100_000))).size, size);
      const read = await storage.get("long");
      assert.equal(read!.object.size, size);
      same(await bytes(read!.body), content);
    }
  });

  test("stores an empty object", async (storage) => {
    await storage.put("empty", new Uint8Array());
    assert.equal((await storage.head("empty"))?.size, 0);
    assert.equal((await bytes((await storage.get("empty"))!.body)).length, 0);
    await fails("range", storage.get("empty", { start: 0 }));
  });

  test("rejects one byte over the limit and keeps the old object", async (storage) => {
    await storage.put("a", text("first"));
    await fails("too-large", storage.put("a", new Uint8Array(MAX_OBJECT_BYTES + 1)));
    await fails("too-large", storage.put("a", inPieces(new Uint8Array(MAX_OBJECT_BYTES + 1), 1_000_000)));
    await fails("too-large", storage.put("b", inPieces(new Uint8Array(MAX_OBJECT_BYTES + 1), 1_000_000)));
    assert.equal(await readText(storage, "a"), "first");
    assert.equal(await storage.head("b"), undefined);
  });

  test("replaces the object under a key, with another etag", async (storage) => {
    const first = await storage.put("a", text("first"));
    const second = await storage.put("a", text("second!"));
    assert.notEqual(first.etag, second.etag);
    assert.equal(await readText(storage, "a"), "second!");
    assert.deepEqual(await keys(storage, 10), ["a"]);
  });

  test("distinguishes keys by case", async (storage) => {
    await storage.put("case", text("lower"));
    await storage.put("CASE", text("upper"));
    assert.equal(await readText(storage, "case"), "lower");
    assert.equal(await readText(storage, "CASE"), "upper");
    await storage.delete("CASE");
    assert.equal(await readText(storage, "case"), "lower");
  });

  test("has no object under an unknown or deleted key, and a repeated deletion is no error", async (storage) => {
    assert.equal(await storage.get("a"), undefined);
    assert.equal(await storage.head("a"), undefined);
    await storage.delete("a");
    await storage.put("a", text("x"));
    await storage.delete("a");
    await storage.delete("a");
    assert.equal(await storage.get("a"), undefined);
    assert.equal(await storage.head("a"), undefined);
  });
}

function rangeTests(test: StorageTest, options: Options): void {
  test("reads ranges", async (storage) => {
    const content = noise(200_000, 7);
    await storage.put("a", content);
    const cases = [
      [{ start: 0 }, 0, 199_999],
      [{ start: 0, end: 0 }, 0, 0],
      [{ start: 65_530, end: 140_001 }, 65_530, 140_001],
      [{ start: 199_999 }, 199_999, 199_999],
      [{ start: 5, end: 999_999_999 }, 5, 199_999],
      [{ suffix: 3 }, 199_997, 199_999],
      [{ suffix: 999_999 }, 0, 199_999],
    ] as const;
    const taken = options.takesLongSuffixes ?? true ? cases : cases.slice(0, -1);
    for (const [request, start, end] of taken) {
      const read = await storage.get("a", request);
      assert.deepEqual(read!.range, { start, end });
      assert.equal(read!.object.size, content.length);
      same(await bytes(read!.body), content.subarray(start, end + 1));
    }
    await fails("range", storage.get("a", { start: 200_000 }));
    await fails("range", storage.get("a", { suffix: 0 }));
    assert.equal(await storage.get("none", { start: 0 }), undefined);
  });
}

function interruptionTests(test: StorageTest): void {
  test("stores nothing of a body that ends early", async (storage) => {
    await storage.put("a", text("first"));
    for (const after of [0, 3, 200]) {
      for (const key of ["a", "new"]) await fails("refused", storage.put(key, breakingOff(after)));
    }
    assert.equal(await readText(storage, "a"), "first");
    assert.deepEqual(await keys(storage, 10), ["a"]);
  });

  test("stores nothing of an aborted upload, and cancels its source", async (storage) => {
    for (const bytesFirst of [0, 300_000, 12 * MIB]) {
      const aborter = new AbortController();
      const source = endless(bytesFirst);
      const put = storage.put("a", source.stream, { signal: aborter.signal });
      const failed = fails("refused", put);
      await source.reached;
      aborter.abort();
      await failed;
      await source.cancelled;
      assert.equal(await storage.head("a"), undefined);
    }
    await fails("refused", storage.put("a", text("x"), { signal: AbortSignal.abort() }));
    assert.deepEqual(await keys(storage, 10), []);
  });
}

function keyTests(test: StorageTest): void {
  test("rejects an invalid key before anything else", async (storage) => {
    const bad = ["", "..", ".", "../x", "a/b", "%2e%2e", "%2e%2e%2fx", "a\0b", "a b", "é", "a.b.c", ".a", "a.", "a?b"];
    for (const key of [...bad, "a".repeat(65), `a.${"b".repeat(17)}`, "a\n"]) {
      await fails("refused", storage.put(key, text("x")));
      await fails("refused", storage.get(key));
      await fails("refused", storage.head(key));
      await fails("refused", storage.delete(key));
      await fails("refused", storage.list({ after: key, limit: 1 }));
    }
    const longest = `${"a".repeat(64)}.${"b".repeat(16)}`;
    await storage.put(longest, text("x"));
    assert.equal(await readText(storage, longest), "x");
  });

  test("lists every object once, in pages, in one order, past deleted ones", async (storage) => {
    assert.deepEqual(await storage.list({ limit: 5 }), []);
    const all = Array.from({ length: 23 }, (_, i) => `key-${i}${i % 3 ? "" : ".240"}`);
    await Promise.all(all.map((key) => storage.put(key, text(key))));
    const listed = await keys(storage, 4);
    assert.deepEqual([...listed].sort(), [...all].sort());
    assert.deepEqual(await keys(storage, 1000), listed);
    const [first] = await storage.list({ limit: 1 });
    assert.deepEqual({ ...first, stored_at: "" }, { ...await storage.head(listed[0]!), stored_at: "" });
    await storage.delete(listed[9]!);
    const rest = await storage.list({ after: listed[9]!, limit: 100 });
    assert.deepEqual(rest.map(({ key }) => key), listed.slice(10));
    assert.deepEqual(await storage.list({ after: listed.at(-1)!, limit: 100 }), []);
  });
}

function concurrencyTests(test: StorageTest): void {
  test("lets one of many writers win, and readers always get a complete object", async (storage) => {
    const versions = Array.from({ length: 8 }, (_, i) => noise(150_000, i));
    await storage.put("a", versions[0]!);
    let writing = true;
    const reading = async () => {
      while (writing) {
        const read = await bytes((await storage.get("a"))!.body);
        assert.ok(versions.some((version) => equal(version, read)), "a mix of versions was read");
      }
    };
    const writes = Promise.all(versions.map((version) => storage.put("a", inPieces(version, 10_000))));
    await Promise.all([reading(), writes.finally(() => writing = false)]);
  });

  test("cancels a stream that is not read", async (storage) => {
    await storage.put("a", noise(5 * MIB, 1));
    for (let i = 0; i < 20; i++) await (await storage.get("a"))!.body.cancel();
    const reader = (await storage.get("a"))!.body.getReader();
    await reader.read();
    await reader.cancel();
    assert.equal((await storage.head("a"))?.size, 5 * MIB);
  });
}

export async function fails(kind: StorageErrorKind, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof StorageError, `${error}`);
    assert.equal(error.kind, kind, `${error} (${error.cause})`);
    return true;
  });
}

export async function readText(storage: Storage, key: string): Promise<string | undefined> {
  const read = await storage.get(key);
  return read && new TextDecoder().decode(await bytes(read.body));
}

/** All keys, in the storage's order. */
export async function keys(storage: Storage, limit: number): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined, done = false; !done;) {
    const page = await storage.list({ limit, ...(after === undefined ? {} : { after }) });
    assert.ok(page.length <= limit);
    found.push(...page.map(({ key }) => key));
    after = page.at(-1)?.key;
    done = after === undefined;
  }
  return found;
}

export function text(content: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(content);
}

export async function bytes(body: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

/** Bytes that differ by seed and position. */
export function noise(size: number, seed: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(size);
  let state = seed + 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    content[i] = state >>> 24;
  }
  return content;
}

export function inPieces(content: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= content.length) return controller.close();
      controller.enqueue(content.slice(at, at += size));
    },
  });
}

function breakingOff(pieces: number): ReadableStream<Uint8Array> {
  let left = pieces;
  return new ReadableStream({
    pull(controller) {
      if (left-- === 0) controller.error(new Error("The source broke"));
      else controller.enqueue(new Uint8Array(60_000));
    },
  });
}

/** Sends `size` bytes and then waits. */
function endless(size: number) {
  const reached = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  let left = size;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left <= 0) {
        reached.resolve();
        return new Promise(() => {});
      }
      controller.enqueue(new Uint8Array(Math.min(left, 60_000)));
      left -= 60_000;
    },
    cancel: () => cancelled.resolve(),
  });
  return { stream, reached: reached.promise, cancelled: cancelled.promise };
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Does not print the bytes when they differ. */
function same(actual: Uint8Array, expected: Uint8Array): void {
  assert.ok(equal(actual, expected), `${actual.length} bytes differ from the ${expected.length} expected`);
}
