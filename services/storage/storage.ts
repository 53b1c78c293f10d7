/**
 * Where photos are kept: whole objects under keys, in a service of its own. Drivers with one contract
 * (`tests/conformance/storage_suite.ts`): `FileStore` inside that service, `RestStorage` as its caller, and `S3Storage`.
 *
 * Every call may throw a `StorageError`. A key that is not one (`isKey`) is refused before anything is touched.
 */
export interface Storage extends AsyncDisposable {
  /**
   * Durable when it resolves, and all or nothing: a body that is too large, breaks off or is aborted leaves what was there
   * before. The same key again replaces. A body that is not read to its end is cancelled.
   */
  put(key: string, body: ReadableStream<Uint8Array> | Uint8Array, options?: PutOptions): Promise<StoredObject>;
  /** `undefined` where there is none. The stream must be read or cancelled; it stays the same object if that is replaced. */
  get(key: string, range?: RangeRequest): Promise<ReadObject | undefined>;
  head(key: string): Promise<StoredObject | undefined>;
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>;
  /**
   * The next at most `limit` objects after the key `after`, in an order that is the driver's own but never changes: what
   * stays during a walk is met once. `after` need not be there any more. Only the end of the walk is an empty list.
   */
  list(options: { after?: string; limit: number }): Promise<StoredObject[]>;
}

export interface StoredObject {
  key: string;
  /** In bytes. */
  size: number;
  /** Strong, without quotes. */
  etag: string;
  /** RFC 3339; some drivers know it to the second only. */
  stored_at: string;
}

export interface PutOptions {
  signal?: AbortSignal;
}

/** Positions in bytes, from 0, `end` inclusive and to the last where it is missing; or the last `suffix` bytes. */
export type RangeRequest = { start: number; end?: number } | { suffix: number };

/** In bytes, both inclusive, both inside the object. */
export interface ByteRange {
  start: number;
  end: number;
}

export interface ReadObject {
  object: StoredObject;
  body: ReadableStream<Uint8Array>;
  /** What `body` is of the object, where a range was asked for. */
  range?: ByteRange;
}

/**
 * - `unavailable`: out of reach, or gone amid a call, which may have been done; it can be tried again
 * - `range`: no byte of the object lies in the range
 * - `too-large`: more than `MAX_OBJECT_BYTES`
 * - `refused`: the caller's fault: no key, wrong credentials, a body that broke off or was aborted
 * - `fault`: anything else
 */
export type StorageErrorKind = "unavailable" | "range" | "too-large" | "refused" | "fault";

export class StorageError extends Error {
  override readonly name = "StorageError";
  constructor(readonly kind: StorageErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
  }
}

export const MAX_OBJECT_BYTES = 64 * 1024 * 1024;
/** The most that one `list` tells. */
export const MAX_LISTED = 1000;

const KEY = /^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9]{1,16})?$/;

export function isKey(text: string): boolean {
  return KEY.test(text);
}

/** Throws for what is no key. */
export function checkKey(key: string): void {
  if (!isKey(key)) throw new StorageError("refused", `A storage key matches ${KEY.source}, but "${key}" does not`);
}

/** Throws when `size` is over the limit. */
export function checkSize(size: number): void {
  if (size > MAX_OBJECT_BYTES) throw new StorageError("too-large", `An object has at most ${MAX_OBJECT_BYTES} bytes`);
}

/** A body as chunks; throws `too-large`, or `refused` where it breaks off or `signal` does. Cancels what it does not read. */
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
        throw new StorageError("refused", "The body broke off", error);
      });
      // A cancelled reader tells an end like any other.
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
