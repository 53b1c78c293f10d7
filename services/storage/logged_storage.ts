import type { Log } from "../../lib/log.ts";
import {
  type PutOptions,
  type RangeRequest,
  type ReadObject,
  type Storage,
  StorageError,
  type StoredObject,
} from "./storage.ts";
import { type Backoff, backoff } from "../../lib/backoff.ts";
import { sleep } from "../../lib/sleep.ts";

/** Interval of log lines about a failing storage, however many calls fail (`docs/limits.md`). */
const LOG_EVERY_MS = 10_000;
/** First and last pause between retries of a storage that is unavailable at the start. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/**
 * Logs the failures of a storage: a missing bucket, wrong credentials, an unavailable service. At the start it is
 * checked until it works; callers do not wait for that.
 */
export class LoggedStorage implements Storage {
  #stopped = new AbortController();
  #quietUntil = 0;
  readonly #looking: Promise<void>;

  constructor(private readonly storage: Storage, private readonly log: Log, pauseMs = FIRST_PAUSE_MS) {
    this.#looking = this.#look(backoff({ firstMs: pauseMs, maxMs: MAX_PAUSE_MS }));
  }

  put(key: string, body: ReadableStream<Uint8Array> | Uint8Array, options?: PutOptions): Promise<StoredObject> {
    return this.#logged("put", this.storage.put(key, body, options));
  }
  get(key: string, range?: RangeRequest): Promise<ReadObject | undefined> {
    return this.#logged("get", this.storage.get(key, range));
  }
  head(key: string): Promise<StoredObject | undefined> {
    return this.#logged("head", this.storage.head(key));
  }
  delete(key: string): Promise<void> {
    return this.#logged("delete", this.storage.delete(key));
  }
  list(options: { after?: string; limit: number }): Promise<StoredObject[]> {
    return this.#logged("list", this.storage.list(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#looking;
    await this.storage[Symbol.asyncDispose]();
  }

  async #look(pause: Backoff): Promise<void> {
    for (let failures = 0;;) {
      try {
        await this.storage.list({ limit: 1 });
        if (failures > 0) this.log.info("photo storage available");
        return;
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        if (failures === 0) {
          this.log.error("photo storage unavailable, uploads fail", { error });
        }
      }
      await sleep(pause(++failures), this.#stopped.signal);
      if (this.#stopped.signal.aborted) return;
    }
  }

  async #logged<T>(call: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (isStoragesFault(error) && Date.now() >= this.#quietUntil) {
        this.#quietUntil = Date.now() + LOG_EVERY_MS;
        this.log.error("photo storage failed", { call, error });
      }
      throw error;
    }
  }
}

/** An aborted body has the abort as its cause; a refusal without a cause comes from the storage. */
function isStoragesFault(error: unknown): boolean {
  if (!(error instanceof StorageError)) return false;
  return ["unavailable", "fault"].includes(error.kind) || (error.kind === "refused" && error.cause === undefined);
}
