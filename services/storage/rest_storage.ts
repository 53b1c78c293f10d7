import { HttpCaller } from "./http_caller.ts";
import { parseContentRange, renderRange } from "./range.ts";
import {
  checkKey,
  chunksOf,
  type PutOptions,
  type RangeRequest,
  type ReadObject,
  type Storage,
  StorageError,
  type StorageErrorKind,
  type StoredObject,
} from "./storage.ts";
import { outgoingHeaders } from "../../lib/tracing.ts";

export interface RestStorageOptions {
  url: string;
  token: string;
  /** Timeout without data, in milliseconds; then `unavailable`. */
  answerMs?: number;
}

const KINDS: Record<number, StorageErrorKind> = {
  400: "refused",
  401: "refused",
  413: "too-large",
  416: "range",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/** The client of the storage service (`service.ts`). */
export class RestStorage implements Storage {
  private readonly caller: HttpCaller;
  private readonly base: string;
  private readonly authorization: string;

  constructor({ url, token, answerMs }: RestStorageOptions) {
    this.caller = new HttpCaller(answerMs);
    this.base = url.replace(/\/+$/, "");
    this.authorization = `Bearer ${token}`;
  }

  async put(
    key: string,
    body: ReadableStream<Uint8Array> | Uint8Array,
    { signal }: PutOptions = {},
  ): Promise<StoredObject> {
    checkKey(key);
    using idleTimeout = this.caller.idleTimeout();
    let broken: unknown;
    // A body of known size is sent as one chunk with its length, without chunked encoding.
    const sent = body instanceof Uint8Array ? await wholeOf(body, signal) : ReadableStream.from((async function* () {
      try {
        for await (const chunk of chunksOf(body, signal)) {
          idleTimeout.touch();
          yield chunk;
        }
      } catch (error) {
        broken = error;
        throw error;
      }
    })());
    try {
      const init = { method: "PUT", body: sent, headers: this.headers(), ...(signal ? { signal } : {}) };
      const response = await this.caller.ask(this.address(key), init, idleTimeout);
      await check(response);
      return await response.json() as StoredObject;
    } catch (error) {
      throw broken ?? error;
    }
  }

  async get(key: string, request?: RangeRequest): Promise<ReadObject | undefined> {
    checkKey(key);
    const response = await this.caller.ask(this.address(key), {
      headers: this.headers(request ? { range: renderRange(request) } : {}),
    });
    if (response.status === 404) return void await response.body?.cancel();
    await check(response);
    const range = parseContentRange(response.headers.get("content-range"));
    const object = described(key, response.headers, range?.size);
    const body = response.body ?? new Blob([]).stream();
    if (!request) return { object, body };
    if (range) return { object, body, range: { start: range.start, end: range.end } };
    await body.cancel();
    throw new StorageError("fault", "The storage did not answer with a range");
  }

  async head(key: string): Promise<StoredObject | undefined> {
    checkKey(key);
    const response = await this.caller.ask(this.address(key), { method: "HEAD", headers: this.headers() });
    await response.body?.cancel();
    if (response.status === 404) return;
    await check(response);
    return described(key, response.headers);
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    const response = await this.caller.ask(this.address(key), { method: "DELETE", headers: this.headers() });
    await check(response);
    await response.body?.cancel();
  }

  async list({ after, limit }: { after?: string; limit: number }): Promise<StoredObject[]> {
    if (after !== undefined) checkKey(after);
    const query = new URLSearchParams({ limit: String(limit), ...(after === undefined ? {} : { after }) });
    const response = await this.caller.ask(`${this.base}/objects?${query}`, { headers: this.headers() });
    await check(response);
    return (await response.json() as { items: StoredObject[] }).items;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.caller[Symbol.dispose]();
  }

  private address(key: string): string {
    return `${this.base}/objects/${key}`;
  }

  private headers(more: Record<string, string> = {}): Record<string, string> {
    return { ...outgoingHeaders(), authorization: this.authorization, ...more };
  }
}

async function wholeOf(body: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
  for await (const chunk of chunksOf(body, signal)) return chunk;
  return new Uint8Array();
}

function described(key: string, headers: Headers, size = Number(headers.get("content-length"))): StoredObject {
  return {
    key,
    size,
    etag: (headers.get("etag") ?? "").replaceAll('"', ""),
    stored_at: headers.get("stored-at") ?? "",
  };
}

/** Throws for anything but success. */
async function check(response: Response): Promise<void> {
  if (response.ok) return;
  const problem = await response.json().catch(() => ({})) as { title?: string; detail?: string };
  const detail = problem.detail ?? problem.title ?? "no detail";
  throw new StorageError(KINDS[response.status] ?? "fault", `The storage answered ${response.status}: ${detail}`);
}
