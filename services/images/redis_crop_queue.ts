import { Redis } from "ioredis";
import { type CropQueue, MAX_WAITING } from "./crop_queue.ts";
import { RedisCropConsumer } from "./redis_crop_consumer.ts";

/** Before the streams of installations' crop jobs; each has one of its history. */
export const CROP_QUEUES = "rookery:crop:";

export interface RedisCropQueueOptions {
  /** After this many milliseconds a call to Redis has failed; 500 by default. */
  timeout?: number;
  /** Milliseconds after which an id whose consumer gave no sign is taken over by another; 120,000 by default. */
  idleMs?: number;
  /** The stream's key, for installations that share a server. */
  stream?: string;
}

/**
 * A stream of Redis with one group of consumers. An id pushed while it waits or is worked on waits once more: only its consumer
 * would know, and finding in Postgres that nothing is left to do costs less than remembering it. Connects at once, anew after a
 * loss; while there is no connection, ids are refused.
 */
export class RedisCropQueue implements CropQueue {
  #redis: Redis;
  /** The first connection is there, or was tried in vain. */
  #tried: Promise<unknown>;
  #consumers = new Set<RedisCropConsumer>();
  #stream: string;
  #idleMs: number;

  constructor(url: string, { timeout = 500, idleMs = 120_000, stream = "rookery:crop" }: RedisCropQueueOptions = {}) {
    this.#stream = stream;
    this.#idleMs = idleMs;
    this.#redis = new Redis(url, {
      connectTimeout: timeout,
      commandTimeout: timeout,
      // A connection that went silent is given up: it may be half of one.
      socketTimeout: timeout,
      // What was refused is pushed again by the sweeper, so it need not wait for a connection as well.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt: number) => Math.min(50 * attempt, 1000),
    });
    // Without a listener a lost server would end the process; the calls tell it.
    this.#redis.on("error", () => {});
    this.#tried = new Promise((resolve) => this.#redis.once("ready", resolve).once("close", resolve));
  }

  async push(ids: readonly string[]): Promise<boolean> {
    await this.#tried;
    try {
      await Promise.all(ids.map((id) => this.#redis.xadd(this.#stream, "MAXLEN", "~", MAX_WAITING, "*", "job", id)));
      return true;
    } catch {
      return false;
    }
  }

  consume(work: (id: string) => Promise<void>, concurrency: number): AsyncDisposable {
    const consumer = new RedisCropConsumer(this.#redis, this.#stream, this.#idleMs, work, concurrency);
    this.#consumers.add(consumer);
    const dispose = async () => {
      await consumer[Symbol.asyncDispose]();
      this.#consumers.delete(consumer);
    };
    return { [Symbol.asyncDispose]: dispose };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer[Symbol.asyncDispose]()));
    this.#redis.disconnect();
  }
}
