import assert from "node:assert/strict";
import { Poller } from "../../lib/poller.ts";
import { sleep } from "../../lib/sleep.ts";

const options = { everyMs: 60_000, onFailure: (error: unknown) => assert.fail(String(error)) };

Deno.test("Poller continues at once when a step left work, without its pause", async () => {
  let left = 5;
  const done = Promise.withResolvers<void>();
  await using _ = new Poller({
    ...options,
    paceMs: 60_000,
    step: () => {
      if (--left === 0) done.resolve();
      return Promise.resolve(left > 0);
    },
  });
  await done.promise;
});

Deno.test("Poller pauses after a finished step; work that arrives meanwhile shares the next step", async () => {
  const steps: number[] = [];
  const twice = Promise.withResolvers<void>();
  const poller = new Poller({
    ...options,
    paceMs: 50,
    step: async () => {
      // The first one begins before there is a `poller`.
      await Promise.resolve();
      steps.push(performance.now());
      // Work arrives during a step, and again before the next.
      if (steps.length === 1) { for (let i = 0; i < 3; i++) poller.wake(); }
      else twice.resolve();
      return false;
    },
  });
  await twice.promise;
  await poller[Symbol.asyncDispose]();
  assert.equal(steps.length, 2);
  // Timers may be a little early by this clock.
  assert.ok(steps[1]! - steps[0]! > 45, `${steps[1]! - steps[0]!} ms`);
});

Deno.test("Poller reports failures, and runs again when woken unless it is closed", async () => {
  const failures: unknown[] = [];
  let steps = 0;
  const again = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<void>();
  const poller = new Poller({
    everyMs: 60_000,
    onFailure: (error) => {
      failures.push(error);
      failed.resolve();
    },
    step: () => {
      if (++steps === 1) throw new Error("away");
      again.resolve();
      return Promise.resolve(false);
    },
  });
  await failed.promise;
  await sleep(0);
  poller.wake();
  await again.promise;
  await poller[Symbol.asyncDispose]();
  poller.wake();
  await sleep(5);
  assert.deepEqual([steps, failures.map(String)], [2, ["Error: away"]]);
});
