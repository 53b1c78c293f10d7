import assert from "node:assert/strict";
import { Breaker } from "../../../services/vk/breaker.ts";
import { failureIn, startVk, valueOf } from "../../support/vk.ts";

function breaker() {
  const clock = { now: 0 };
  const made = new Breaker({ failures: 3, openMs: 1_000, now: () => clock.now });
  const fails = () => assert.rejects(made.run(() => Promise.reject(new Error("down"))));
  const works = () => made.run(() => Promise.resolve());
  return { breaker: made, clock, fails, works };
}

Deno.test("A breaker opens after consecutive failures, and a success resets the count", async () => {
  const { breaker: it, fails, works } = breaker();
  await fails();
  await fails();
  await works();
  await fails();
  await fails();
  assert.equal(it.open, false);
  await fails();
  assert.equal(it.open, true);
});

Deno.test("After the pause one call probes: its success closes the breaker, its failure opens it again", async () => {
  const { breaker: it, clock, fails, works } = breaker();
  for (let i = 0; i < 3; i++) await fails();
  clock.now = 999;
  assert.equal(it.open, true);
  clock.now = 1_000;
  assert.equal(it.open, false);
  const { promise, reject } = Promise.withResolvers<void>();
  const trying = it.run(() => promise);
  assert.equal(it.open, true, "other calls are rejected until the probe ends");
  reject(new Error("down"));
  await assert.rejects(trying);
  assert.equal(it.open, true);
  clock.now = 2_000;
  await works();
  assert.equal(it.open, false);
  await fails();
  assert.equal(it.open, false, "one failure does not open it");
});

Deno.test("An unavailable VK gets no calls for a while, and is used again later", async () => {
  const clock = { now: 0 };
  await using vk = await startVk({
    retry: { tries: 1 },
    breaker: { failures: 3, openMs: 300, now: () => clock.now },
  });
  const ask = () => vk.as().users.get({ user_ids: [101] });
  vk.fake.fault({ kind: "html", status: 502 }, { times: 100 });
  for (let i = 0; i < 10; i++) assert.equal(failureIn(await ask()).kind, "unreachable");
  assert.equal(vk.asked().length, 3);
  clock.now += 320;
  assert.equal(failureIn(await ask()).kind, "unreachable");
  assert.equal(vk.asked().length, 4, "one call probes");
  vk.fake.faults.clear();
  clock.now += 320;
  assert.equal(valueOf(await ask()).length, 1);
  assert.equal(valueOf(await ask()).length, 1);
});

Deno.test("Errors from VK do not open the breaker", async () => {
  await using vk = await startVk({ retry: { tries: 1 }, breaker: { failures: 2, openMs: 10_000 } });
  for (let i = 0; i < 5; i++) assert.equal(failureIn(await vk.as("fake-expired").users.get({})).code, 5);
  vk.fake.fault({ kind: "error", code: 10 }, { times: 5 });
  for (let i = 0; i < 5; i++) assert.equal(failureIn(await vk.as().users.get({})).code, 10);
  assert.equal(vk.asked().length, 10);
});
