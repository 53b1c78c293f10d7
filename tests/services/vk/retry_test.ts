import assert from "node:assert/strict";
import type { FailureKind, VkResult } from "../../../services/vk/errors.ts";
import { repeated, type RetryOptions } from "../../../services/vk/retry.ts";

/** An attempt that fails this many times, then answers. Returns the times of the attempts. */
async function tried(kind: FailureKind, failures: number, options: RetryOptions, repeatable = true, withinMs = 10_000) {
  const times: number[] = [];
  const start = performance.now();
  const attempt = (): Promise<VkResult<string>> => {
    times.push(performance.now() - start);
    const failure = { kind, code: 0, message: "" };
    return Promise.resolve(times.length <= failures ? { ok: false, failure } : { ok: true, value: "answer" });
  };
  const result = await repeated(() => repeatable, attempt, Date.now() + withinMs, options);
  return { ok: result.ok, times, gaps: times.slice(1).map((time, i) => time - times[i]!) };
}

/** Each gap at its shortest in three runs: a busy machine only makes them longer. */
async function shortest(...args: Parameters<typeof tried>) {
  const runs = [await tried(...args), await tried(...args), await tried(...args)];
  const gaps = runs[0]!.gaps.map((_, i) => Math.min(...runs.map((run) => run.gaps[i]!)));
  return { ok: runs.every(({ ok }) => ok), gaps };
}

const near = (gap: number, ms: number) => gap >= ms - 5 && gap < ms + 150;

Deno.test("Pauses double, with jitter from half to one and a half", async () => {
  for (const [random, factor] of [[0, 0.5], [0.5, 1], [0.999, 1.5]] as const) {
    const { ok, gaps } = await shortest("failing", 3, { pauseMs: 40, random: () => random });
    assert.equal(ok, true);
    for (const [i, gap] of gaps.entries()) assert.ok(near(gap, 40 * 2 ** i * factor), `${gaps} with ${random}`);
  }
});

Deno.test("After code 6 the pause is VK's window", async () => {
  const { gaps } = await shortest("too-fast", 2, { pauseMs: 1, windowMs: 80, random: () => 0.5 });
  assert.ok(gaps.length === 2 && gaps.every((gap) => near(gap, 80)), `${gaps}`);
});

Deno.test("Attempts end at their number, or if the next pause would exceed the deadline", async () => {
  assert.deepEqual((await tried("unreachable", 99, { pauseMs: 1 })).times.length, 4);
  // The third pause would end at 4.2 s.
  const { ok, times } = await tried("unreachable", 99, { pauseMs: 600, tries: 50, random: () => 0.5 }, true, 3_600);
  assert.deepEqual([ok, times.length], [false, 3]);
});

Deno.test("A call with an effect is repeated only after code 6", async () => {
  assert.equal((await tried("too-fast", 1, { windowMs: 5 }, false)).ok, true);
  for (const kind of ["failing", "unreachable"] as const) {
    assert.equal((await tried(kind, 1, { pauseMs: 5 }, false)).times.length, 1);
  }
  for (const kind of ["flood", "quota", "captcha", "token-dead", "busy", "bug"] as const) {
    assert.equal((await tried(kind, 1, { pauseMs: 5 })).times.length, 1, kind);
  }
});
