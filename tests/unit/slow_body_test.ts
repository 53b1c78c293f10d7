import assert from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import { patient } from "../../contract/body.ts";
import { sleep } from "../../lib/sleep.ts";

const isTimeout = (error: unknown) => error instanceof AppError && error.code === "request-timeout";

/** A body of `bytes` bytes, each after a pause; then its end, or silence. */
function body(
  bytes: number,
  everyMs: number,
  ends: boolean,
): { stream: ReadableStream<Uint8Array>; cancelled: () => boolean } {
  let cancelled = false;
  let left = bytes;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await sleep(everyMs);
      if (cancelled) return;
      if (left-- > 0) controller.enqueue(new Uint8Array(1));
      else if (ends) controller.close();
      else await new Promise(() => {});
    },
    cancel: () => void (cancelled = true),
  }, { highWaterMark: 0 });
  return { stream, cancelled: () => cancelled };
}

async function read(
  stream: ReadableStream<Uint8Array>,
  options: { silenceMs?: number; maxMs?: number },
  workMs = 0,
) {
  let bytes = 0;
  for await (const chunk of patient(stream, options)) {
    bytes += chunk.byteLength;
    await sleep(workMs);
  }
  return bytes;
}

Deno.test("A steady body is read to its end", async () => {
  assert.equal(await read(body(5, 10, true).stream, { silenceMs: 1_000 }), 5);
});

Deno.test("Silent and endless bodies time out", async () => {
  const silent = body(2, 1, false);
  await assert.rejects(read(silent.stream, { silenceMs: 80 }), isTimeout);
  assert.ok(silent.cancelled());
  const endless = body(1_000, 10, true);
  await assert.rejects(read(endless.stream, { silenceMs: 80, maxMs: 200 }), isTimeout);
  assert.ok(endless.cancelled());
});

Deno.test("A very slow body times out, even if it is never silent", async () => {
  const dripping = body(1_000, 20, true);
  await assert.rejects(read(dripping.stream, { silenceMs: 200 }), isTimeout);
  assert.ok(dripping.cancelled());
});

Deno.test("A slow reader of a body does not count as a silent sender", async () => {
  assert.equal(await read(body(3, 1, true).stream, { silenceMs: 400 }, 600), 3);
});
