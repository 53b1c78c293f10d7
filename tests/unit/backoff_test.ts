import assert from "node:assert/strict";
import { backoff } from "../../lib/backoff.ts";
import { sleep, within } from "../../lib/sleep.ts";

Deno.test("Pauses grow by the factor from the first to the maximum", () => {
  const doubling = backoff({ firstMs: 50, maxMs: 500 });
  assert.deepEqual([1, 2, 3, 4, 5, 6, 5_000].map(doubling), [50, 100, 200, 400, 500, 500, 500]);
  const steep = backoff({ firstMs: 2_000, maxMs: 60_000, factor: 4 });
  assert.deepEqual([1, 2, 3, 4].map(steep), [2_000, 8_000, 32_000, 60_000]);
});

Deno.test("Without a failure the pause is the first one", () => {
  assert.equal(backoff({ firstMs: 50, maxMs: 500 })(0), 50);
});

Deno.test("Jitter spreads a pause between its two factors, after the limit was applied", () => {
  const pauses = [0, 0.5, 1].map((random) =>
    backoff({ firstMs: 100, maxMs: 300, jitter: [0.5, 1.5], random: () => random })
  );
  assert.deepEqual(pauses.map((pause) => pause(1)), [50, 100, 150]);
  assert.deepEqual(pauses.map((pause) => pause(9)), [150, 300, 450]);
});

Deno.test("sleep waits its time, and ends at once when its signal aborts", async () => {
  const start = performance.now();
  await sleep(30);
  assert.ok(performance.now() - start >= 28);
  const controller = new AbortController();
  const sleeping = sleep(60_000, controller.signal);
  controller.abort();
  await sleeping;
  await sleep(60_000, controller.signal);
  assert.ok(performance.now() - start < 5_000);
});

Deno.test("within returns what comes in time, including failures, and gives up otherwise", async () => {
  assert.equal(await within(60_000, Promise.resolve("done")), "done");
  await assert.rejects(within(60_000, Promise.reject(new Error("broken"))), /broken/);
  assert.equal(await within(10, new Promise(() => {})), undefined);
});
