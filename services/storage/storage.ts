/**
 * Storage of photos: complete objects under keys, in a separate service. Drivers with one contract
 * (`tests/conformance/storage_suite.ts`): `FileStore` inside that service, `RestStorage` as its client, and
 * `S3Storage`. Every call may throw a `StorageError`. An invalid key (`isKey`) is refused before anything is changed.
 */
export interface Storage extends AsyncDisposable {
  /**
   * Durable when it resolves, and all or nothing: a body that is too large, incomplete or aborted leaves the previous
   * object. The same key replaces the object. A body that is not read to its end is cancelled.
   */
  put(key: string, body: ReadableStream<Uint8Array> | Uint8Array, options?: PutOptions): Promise<StoredObject>;
  /**
   * `undefined` if there is none. The stream must be read or cancelled. It returns the same object even if that is
   * replaced.
   */
  get(key: string, range?: RangeRequest): Promise<ReadObject | undefined>;
  head(key: string): Promise<StoredObject | undefined>;
  /** Deleting a missing object is no error. */
  delete(key: string): Promise<void>;
  /**
   * At most `limit` objects after the key `after`, in an order that depends on the driver but never changes: an object
   * that stays during a walk is returned once. `after` need not exist any more. Only the end of the walk is an empty
   * list.
   */
  list(options: { after?: string; limit: number }): Promise<StoredObject[]>;
}

export interface StoredObject {
  key: string;
  /** In bytes. */
  size: number;
  /** Strong, without quotes. */
  etag: string;
  /** RFC 3339; some drivers have a precision of a second. */
  stored_at: string;
}

export interface PutOptions {
  signal?: AbortSignal;
}

/** Positions in bytes, from 0; `end` is inclusive and defaults to the last; or the last `suffix` bytes. */
export type RangeRequest = { start: number; end?: number } | { suffix: number };

/** In bytes, both inclusive, both within the object. */
export interface ByteRange {
  start: number;
  end: number;
}

export interface ReadObject {
  object: StoredObject;
  body: ReadableStream<Uint8Array>;
  /** The part of the object in `body`, if a range was requested. */
  range?: ByteRange;
}

/**
 * `unavailable`: no connection, or lost during a call, which may have succeeded; can be retried. `range`: the range
 * contains no byte of the object. `too-large`: more than `MAX_OBJECT_BYTES`. `refused`: an error of the caller, such as
 * an invalid key, wrong credentials, or an incomplete or aborted body. `fault`: anything else.
 */
export type StorageErrorKind = "unavailable" | "range" | "too-large" | "refused" | "fault";

export class StorageError extends Error {
  override readonly name = "StorageError";
  constructor(readonly kind: StorageErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
  }
}

export const MAX_OBJECT_BYTES = 64 * 1024 * 1024;
/** The maximum number of objects that one `list` returns. */
export const MAX_LISTED = 1000;

const KEY = /^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9]{1,16})?$/;

export function isKey(text: string): boolean {
  return KEY.test(text);
}

/** Throws for an invalid key. */
export function checkKey(key: string): void {
  if (!isKey(key)) throw new StorageError("refused", `Expected a storage key that matches ${KEY.source}, got "${key}"`);
}

/** Throws if `size` exceeds the limit. */
export function checkSize(size: number): void {
  if (size > MAX_OBJECT_BYTES) throw new StorageError("too-large", `An object has at most ${MAX_OBJECT_BYTES} bytes`);
}

/**
 * A body as chunks. Throws `too-large`, or `refused` if it is incomplete or `signal` aborts. Cancels what it does not
 * read.
 */
export async function* chunksOf(
  body: ReadableStream<Uint8Array> | Uint8Array,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (body instanceof Uint8Array) {
    checkSize(body.byteLength);
    if (signal?.aborted) throw aborted(signal);
    return yield body as Uint8Array<ArrayBuffer>;
  }
  const reader = body.getReader();
  const cancel = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", cancel, { once: true });
  let size = 0;
  try {
    while (true) {
      if (signal?.aborted) throw aborted(signal);
      const { value, done } = await reader.read().catch((error: unknown) => {
        throw new StorageError("refused", "The body is incomplete", error);
      });
      // A cancelled reader reports an end like any other.
      if (signal?.aborted) throw aborted(signal);
      if (done) return;
      checkSize(size += value.byteLength);
      yield value as Uint8Array<ArrayBuffer>;
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    cancel();
  }
}

export function aborted(signal: AbortSignal): StorageError {
  return new StorageError("refused", "The upload was aborted", signal.reason);
}
