import assert from "node:assert/strict";
import { Semaphore, SemaphoreFull } from "../../lib/semaphore.ts";

/** Acquires a place and records it, for the order. */
function entering(semaphore: Semaphore, name: string, entered: string[]): Promise<Disposable> {
  return semaphore.acquire().then((place) => {
    entered.push(name);
    return place;
  });
}

/** Resolves after every runnable task has run. */
const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

Deno.test("Callers up to the limit enter at once, the others in order", async () => {
  const semaphore = new Semaphore({ concurrency: 2 });
  const entered: string[] = [];
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => entering(semaphore, name, entered));
  await settled();
  assert.deepEqual(entered, ["a", "b"]);
  (await b!)[Symbol.dispose]();
  await settled();
  assert.deepEqual(entered, ["a", "b", "c"]);
  (await a!)[Symbol.dispose]();
  (await c!)[Symbol.dispose]();
  (await d!)[Symbol.dispose]();
  assert.deepEqual(entered, ["a", "b", "c", "d"]);
});

Deno.test("A freed place goes to the longest waiting, not to a newcomer", async () => {
  const semaphore = new Semaphore({ concurrency: 1 });
  const entered: string[] = [];
  const first = await semaphore.acquire();
  const waiting = entering(semaphore, "waiting", entered);
  first[Symbol.dispose]();
  const late = entering(semaphore, "late", entered);
  await settled();
  assert.deepEqual(entered, ["waiting"]);
  (await waiting)[Symbol.dispose]();
  (await late)[Symbol.dispose]();
});

Deno.test("A place released twice counts once", async () => {
  const semaphore = new Semaphore({ concurrency: 1, maxWaiting: 0 });
  const place = await semaphore.acquire();
  place[Symbol.dispose]();
  place[Symbol.dispose]();
  using _next = await semaphore.acquire();
  await assert.rejects(semaphore.acquire(), SemaphoreFull);
});

Deno.test("Beyond the waiting limit the next is rejected at once, with the given error", async () => {
  const semaphore = new Semaphore({ concurrency: 1, maxWaiting: 1, refusal: (limit) => new Error(`full: ${limit}`) });
  const first = await semaphore.acquire();
  const waiting = semaphore.acquire();
  await assert.rejects(semaphore.acquire(), { message: "full: all" });
  first[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
  (await semaphore.acquire())[Symbol.dispose]();
});

Deno.test("A caller that waits too long is rejected, and no place is lost", async () => {
  const semaphore = new Semaphore({ concurrency: 1, waitMs: 20 });
  const first = await semaphore.acquire();
  await assert.rejects(semaphore.acquire(), { limit: "all" });
  first[Symbol.dispose]();
  (await semaphore.acquire())[Symbol.dispose]();
});

Deno.test("An abort ends the waiting of one caller only", async () => {
  const semaphore = new Semaphore({ concurrency: 1 });
  const first = await semaphore.acquire();
  const controller = new AbortController();
  const aborted = semaphore.acquire({ signal: controller.signal });
  const other = semaphore.acquire({ signal: new AbortController().signal });
  controller.abort(new Error("enough"));
  await assert.rejects(aborted, { message: "enough" });
  await assert.rejects(semaphore.acquire({ signal: controller.signal }), { message: "enough" });
  first[Symbol.dispose]();
  (await other)[Symbol.dispose]();
  (await semaphore.acquire())[Symbol.dispose]();
});

Deno.test("An abort that arrives together with the place has no effect", async () => {
  const semaphore = new Semaphore({ concurrency: 1 });
  const first = await semaphore.acquire();
  const controller = new AbortController();
  const given = semaphore.acquire({ signal: controller.signal });
  const behind = semaphore.acquire();
  first[Symbol.dispose]();
  controller.abort();
  (await given)[Symbol.dispose]();
  (await behind)[Symbol.dispose]();
});

Deno.test("One key has its share, waiting included, and leaves places for others", async () => {
  const semaphore = new Semaphore({ concurrency: 2, perKey: 2, maxWaiting: 5 });
  const places = [await semaphore.acquire({ key: "a" }), await semaphore.acquire({ key: "b" })];
  const waiting = semaphore.acquire({ key: "a" });
  await assert.rejects(semaphore.acquire({ key: "a" }), { limit: "key" });
  places[0]![Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
  places[1]![Symbol.dispose]();
  const again = await Promise.all([semaphore.acquire({ key: "a" }), semaphore.acquire({ key: "a" })]);
  for (const place of again) place[Symbol.dispose]();
});

Deno.test("A rejection does not count towards the key's share", async () => {
  const semaphore = new Semaphore({ concurrency: 1, perKey: 1, maxWaiting: 0 });
  const first = await semaphore.acquire({ key: "a" });
  for (let i = 0; i < 3; i++) await assert.rejects(semaphore.acquire({ key: "b" }), { limit: "all" });
  first[Symbol.dispose]();
  (await semaphore.acquire({ key: "b" }))[Symbol.dispose]();
});

Deno.test("Work that throws, at once or later, releases its place", async () => {
  const semaphore = new Semaphore({ concurrency: 1, maxWaiting: 0 });
  const failing = () => {
    throw new Error("at once");
  };
  await assert.rejects(semaphore.run(failing), { message: "at once" });
  await assert.rejects(semaphore.run(() => Promise.reject(new Error("later"))), { message: "later" });
  assert.equal(await semaphore.run(() => "done"), "done");
});
