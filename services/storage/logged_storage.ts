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

/** A storage that fails is in the log this often, however many calls fail (`docs/limits.md`). */
const LOG_EVERY_MS = 10_000;
/** A storage that could not be used at the start is tried again after this long, doubling up to the second. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/**
 * A storage whose failures an operator can see: a bucket that is not there, wrong credentials, a service that is away. At the start it
 * is tried once, and then again until it works; callers do not wait for that.
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
        if (failures > 0) this.log.info("photo storage can be used");
        return;
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        if (failures === 0) {
          this.log.error("photo storage cannot be used: uploads fail until this is mended", { error });
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

/** A body that broke off has the break as its cause; a refusal without one is the storage's own. */
function isStoragesFault(error: unknown): boolean {
  if (!(error instanceof StorageError)) return false;
  return ["unavailable", "fault"].includes(error.kind) || (error.kind === "refused" && error.cause === undefined);
}
