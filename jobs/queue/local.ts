import { type JobQueue, MAX_WAITING } from "./queue.ts";

interface Consumer extends AsyncDisposable {
  takeMore(): void;
}

/** In one process and in memory. Drops ids that are queued or in progress. */
export class LocalJobQueue implements JobQueue {
  #waiting: string[] = [];
  /** Queued ids and those in progress. */
  #known = new Set<string>();
  #consumers = new Set<Consumer>();

  async push(ids: readonly string[]): Promise<boolean> {
    for (const id of ids) {
      if (this.#known.has(id)) continue;
      if (this.#waiting.length >= MAX_WAITING) return false;
      this.#known.add(id);
      this.#waiting.push(id);
      for (const consumer of this.#consumers) consumer.takeMore();
    }
    return true;
  }

  consume(work: (id: string) => Promise<void>, concurrency: number): AsyncDisposable {
    const running = new Set<Promise<void>>();
    const run = async (id: string) => {
      try {
        await work(id);
      } catch {
        // The worker reports errors; here the id is done.
      } finally {
        this.#known.delete(id);
      }
    };
    const takeMore = () => {
      while (running.size < concurrency && this.#waiting.length > 0 && this.#consumers.has(consumer)) {
        // Starts in a microtask, when it counts as running: `work` may push.
        const ended: Promise<void> = Promise.resolve(this.#waiting.shift()!).then(run).then(() => {
          running.delete(ended);
          takeMore();
        });
        running.add(ended);
      }
    };
    const dispose = async () => {
      this.#consumers.delete(consumer);
      await Promise.all(running);
    };
    const consumer: Consumer = { takeMore, [Symbol.asyncDispose]: dispose };
    this.#consumers.add(consumer);
    takeMore();
    return consumer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer[Symbol.asyncDispose]()));
  }
}
