import { Redis } from "ioredis";
import { type JobQueue, MAX_WAITING } from "./queue.ts";
import { RedisJobConsumer } from "./redis_consumer.ts";

/** Prefix of the streams of crop jobs. Each installation has a stream named by its history. */
export const CROP_QUEUES = "rookery:crop:";

export interface RedisJobQueueOptions {
  /** Timeout of a call to Redis, in milliseconds; 500 by default. */
  timeout?: number;
  /** Milliseconds after which an id of an inactive consumer is taken over; 120,000 by default. */
  idleMs?: number;
  /** The key of the stream, for installations that share a server. */
  stream?: string;
}

/**
 * A Redis stream with one consumer group. An id pushed while it is queued or in progress is queued again: finding in
 * Postgres that nothing is left to do costs less than tracking it. Connects at once and reconnects after a loss;
 * without a connection ids are refused.
 */
export class RedisJobQueue implements JobQueue {
  #redis: Redis;
  /** The first connection attempt, successful or not. */
  #tried: Promise<unknown>;
  #consumers = new Set<RedisJobConsumer>();
  #stream: string;
  #idleMs: number;

  constructor(url: string, { timeout = 500, idleMs = 120_000, stream = "rookery:crop" }: RedisJobQueueOptions = {}) {
    this.#stream = stream;
    this.#idleMs = idleMs;
    this.#redis = new Redis(url, {
      connectTimeout: timeout,
      commandTimeout: timeout,
      // A silent connection is closed: it may be half open.
      socketTimeout: timeout,
      // The sweeper pushes refused ids again, so they need not wait for a connection.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt: number) => Math.min(50 * attempt, 1000),
    });
    // Without a listener a lost server would end the process. The calls report the loss.
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
    const consumer = new RedisJobConsumer(this.#redis, this.#stream, this.#idleMs, work, concurrency);
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
