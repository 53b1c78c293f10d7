/** What every `JobQueue` driver must do (`jobs/queue/queue.ts`). */
import assert from "node:assert/strict";
import type { JobQueue } from "../../jobs/queue/queue.ts";
import { until } from "../support/wait.ts";
import { sleep } from "../../lib/sleep.ts";

export function jobQueueSuite(driver: string, open: () => JobQueue): void {
  // Connections close a moment after the test.
  const test = (name: string, run: (queue: JobQueue) => Promise<void>) =>
    Deno.test({
      name: `${driver}: ${name}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        await using queue = open();
        await run(queue);
      },
    });

  test("runs each id once, pushed before or after the consumer started", async (queue) => {
    const crew = new Crew();
    assert.equal(await queue.push(ids(0, 20)), true);
    await using _ = queue.consume(crew.work, 4);
    assert.equal(await queue.push(ids(20, 40)), true);
    assert.equal(await queue.push([]), true);
    await until("all is done", () => crew.done.length >= 40);
    await sleep(100);
    assert.deepEqual(crew.done.toSorted(), ids(0, 40).toSorted());
  });

  test("runs at most the given number at once", async (queue) => {
    const crew = new Crew();
    crew.hold();
    await using _ = queue.consume(crew.work, 3);
    await queue.push(ids(0, 10));
    await until("three are under way", () => crew.underWay.size === 3);
    await sleep(100);
    assert.equal(crew.most, 3);
    crew.release();
    await until("all is done", () => crew.done.length === 10);
    assert.equal(crew.most, 3);
  });

  test("continues after work that throws, without repeating it", async (queue) => {
    const crew = new Crew((id) => {
      if (Number(id.slice(1)) % 2) throw new Error("unreadable");
    });
    await using _ = queue.consume(crew.work, 2);
    await queue.push(ids(0, 10));
    await until("all was tried", () => crew.started.length >= 10);
    await sleep(100);
    assert.deepEqual(crew.started.toSorted(), ids(0, 10));
    assert.equal(crew.done.length, 5);
  });

  test("accepts an id again after its work has ended", async (queue) => {
    const crew = new Crew();
    await using _ = queue.consume(crew.work, 2);
    for (let i = 1; i <= 3; i++) {
      await until("it is taken", async () => await queue.push(["again"]) && crew.done.length >= i);
    }
  });

  test("shares ids between consumers", async (queue) => {
    const crews = [new Crew(), new Crew()];
    for (const crew of crews) crew.hold();
    await using _ = queue.consume(crews[0]!.work, 2);
    await using __ = queue.consume(crews[1]!.work, 2);
    await queue.push(ids(0, 30));
    await until("both are at work", () => crews.every(({ underWay }) => underWay.size === 2));
    for (const crew of crews) crew.release();
    await until("all is done", () => crews.flatMap(({ done }) => done).length >= 30);
    assert.deepEqual(crews.flatMap(({ started }) => started).toSorted(), ids(0, 30).toSorted());
  });

  test("waits for work in progress when a consumer stops, which takes no more", async (queue) => {
    const crew = new Crew();
    crew.hold();
    const consumer = queue.consume(crew.work, 2);
    await queue.push(ids(0, 5));
    await until("two are under way", () => crew.underWay.size === 2);
    let stopped = false;
    const stopping = consumer[Symbol.asyncDispose]().then(() => stopped = true);
    await sleep(100);
    assert.equal(stopped, false);
    crew.release();
    await stopping;
    assert.equal(crew.done.length, 2);
    await sleep(100);
    assert.equal(crew.started.length, 2);
    const next = new Crew();
    await using _ = queue.consume(next.work, 2);
    await until("another takes the rest", () => next.done.length >= 3);
    assert.deepEqual([...crew.done, ...next.done].toSorted(), ids(0, 5));
  });

  test("loses nothing when consumers stop while ids arrive", async (queue) => {
    const crew = new Crew();
    const pushing = (async () => {
      for (let i = 0; i < 300; i += 3) {
        await queue.push(ids(i, i + 3));
        await sleep(5);
      }
    })();
    for (let i = 0; i < 5; i++) {
      await using _ = queue.consume(crew.work, 50);
      await sleep(60);
    }
    await pushing;
    await using _ = queue.consume(crew.work, 50);
    await until("all is done", () => crew.done.length >= 300);
    assert.deepEqual(crew.done.toSorted(), ids(0, 300).toSorted());
  });

  test("stops within a second, with its consumers", async (queue) => {
    const crew = new Crew();
    queue.consume(crew.work, 2);
    await queue.push(["first"]);
    await until("it works", () => crew.done.length === 1);
    const start = Date.now();
    await queue[Symbol.asyncDispose]();
    assert.ok(Date.now() - start < 1_000, `took ${Date.now() - start} ms`);
  });
}

/** Works, and remembers on what. */
export class Crew {
  started: string[] = [];
  done: string[] = [];
  underWay = new Set<symbol>();
  /** Under way at once. */
  most = 0;
  #gate: PromiseWithResolvers<void> | undefined;

  constructor(private readonly act: (id: string) => void | Promise<void> = () => {}) {}

  /** Work in progress ends with `release`. */
  hold(): void {
    this.#gate = Promise.withResolvers();
  }

  release(): void {
    this.#gate?.resolve();
  }

  readonly work = async (id: string): Promise<void> => {
    this.started.push(id);
    // An id may be under way twice.
    const place = Symbol(id);
    this.underWay.add(place);
    this.most = Math.max(this.most, this.underWay.size);
    try {
      await this.#gate?.promise;
      await this.act(id);
      this.done.push(id);
    } finally {
      this.underWay.delete(place);
    }
  };
}

export function ids(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `j${from + i}`);
}
