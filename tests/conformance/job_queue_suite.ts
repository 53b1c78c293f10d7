/** What every `JobQueue` driver must do (`jobs/queue/queue.ts`). */
import assert from "node:assert/strict";
import type { JobQueue } from "../../jobs/queue/queue.ts";
import { until } from "../support/wait.ts";
import { sleep } from "../../lib/sleep.ts";

type JobQueueTest = (name: string, run: (queue: JobQueue) => Promise<void>) => void;

export function jobQueueSuite(driver: string, open: () => JobQueue): void {
  // Connections close a moment after the test.
  const test: JobQueueTest = (name, run) =>
    Deno.test({
      name: `${driver}: ${name}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        await using queue = open();
        await run(queue);
      },
    });

  workTests(test);
  stopTests(test);
}

function workTests(test: JobQueueTest): void {
  test("runs each id once, pushed before or after the consumer started", async (queue) => {
    const worker = new Worker();
    assert.equal(await queue.push(ids(0, 20)), true);
    await using _ = queue.consume(worker.work, 4);
    assert.equal(await queue.push(ids(20, 40)), true);
    assert.equal(await queue.push([]), true);
    await until("all jobs are done", () => worker.done.length >= 40);
    await sleep(100);
    assert.deepEqual(worker.done.toSorted(), ids(0, 40).toSorted());
  });

  test("runs at most the given number at once", async (queue) => {
    const worker = new Worker();
    worker.hold();
    await using _ = queue.consume(worker.work, 3);
    await queue.push(ids(0, 10));
    await until("three are in progress", () => worker.inProgress.size === 3);
    await sleep(100);
    assert.equal(worker.most, 3);
    worker.release();
    await until("all jobs are done", () => worker.done.length === 10);
    assert.equal(worker.most, 3);
  });

  test("continues after work that throws, without repeating it", async (queue) => {
    const worker = new Worker((id) => {
      if (Number(id.slice(1)) % 2) throw new Error("unreadable");
    });
    await using _ = queue.consume(worker.work, 2);
    await queue.push(ids(0, 10));
    await until("all ids were attempted", () => worker.started.length >= 10);
    await sleep(100);
    assert.deepEqual(worker.started.toSorted(), ids(0, 10));
    assert.equal(worker.done.length, 5);
  });

  test("accepts an id again after its work has ended", async (queue) => {
    const worker = new Worker();
    await using _ = queue.consume(worker.work, 2);
    for (let i = 1; i <= 3; i++) {
      await until("it is accepted", async () => await queue.push(["again"]) && worker.done.length >= i);
    }
  });

  test("shares ids between consumers", async (queue) => {
    const workers = [new Worker(), new Worker()];
    for (const worker of workers) worker.hold();
    await using _ = queue.consume(workers[0]!.work, 2);
    await using __ = queue.consume(workers[1]!.work, 2);
    await queue.push(ids(0, 30));
    await until("both consumers work", () => workers.every(({ inProgress }) => inProgress.size === 2));
    for (const worker of workers) worker.release();
    await until("all jobs are done", () => workers.flatMap(({ done }) => done).length >= 30);
    assert.deepEqual(workers.flatMap(({ started }) => started).toSorted(), ids(0, 30).toSorted());
  });
}

function stopTests(test: JobQueueTest): void {
  test("waits for work in progress when a consumer stops, and gives it no more", async (queue) => {
    const worker = new Worker();
    worker.hold();
    const consumer = queue.consume(worker.work, 2);
    await queue.push(ids(0, 5));
    await until("two are in progress", () => worker.inProgress.size === 2);
    let stopped = false;
    const stopping = consumer[Symbol.asyncDispose]().then(() => stopped = true);
    await sleep(100);
    assert.equal(stopped, false);
    worker.release();
    await stopping;
    assert.equal(worker.done.length, 2);
    await sleep(100);
    assert.equal(worker.started.length, 2);
    const next = new Worker();
    await using _ = queue.consume(next.work, 2);
    await until("another consumer takes the rest", () => next.done.length >= 3);
    assert.deepEqual([...worker.done, ...next.done].toSorted(), ids(0, 5));
  });

  test("loses nothing when consumers stop while ids arrive", async (queue) => {
    const worker = new Worker();
    const pushing = (async () => {
      for (let i = 0; i < 300; i += 3) {
        await queue.push(ids(i, i + 3));
        await sleep(5);
      }
    })();
    for (let i = 0; i < 5; i++) {
      await using _ = queue.consume(worker.work, 50);
      await sleep(60);
    }
    await pushing;
    await using _ = queue.consume(worker.work, 50);
    await until("all jobs are done", () => worker.done.length >= 300);
    assert.deepEqual(worker.done.toSorted(), ids(0, 300).toSorted());
  });

  test("stops soon, with its consumers", async (queue) => {
    const worker = new Worker();
    queue.consume(worker.work, 2);
    await queue.push(["first"]);
    await until("the first work", () => worker.done.length === 1);
    const start = Date.now();
    await queue[Symbol.asyncDispose]();
    assert.ok(Date.now() - start < 3_000, `took ${Date.now() - start} ms`);
  });
}

/** A worker that records its ids. */
export class Worker {
  started: string[] = [];
  done: string[] = [];
  inProgress = new Set<symbol>();
  /** In progress at the same time. */
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
    // An id may be in progress twice.
    const place = Symbol(id);
    this.inProgress.add(place);
    this.most = Math.max(this.most, this.inProgress.size);
    try {
      await this.#gate?.promise;
      await this.act(id);
      this.done.push(id);
    } finally {
      this.inProgress.delete(place);
    }
  };
}

export function ids(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `j${from + i}`);
}
