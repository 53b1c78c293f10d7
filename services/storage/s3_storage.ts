import { AwsV4Signer } from "aws4fetch";
import { createHash } from "node:crypto";
import { HttpCaller } from "./http_caller.ts";
import { parseContentRange, renderRange } from "./range.ts";
import type { S3Options } from "./s3_options.ts";
import {
  checkKey,
  chunksOf,
  isKey,
  MAX_LISTED,
  type PutOptions,
  type RangeRequest,
  type ReadObject,
  type Storage,
  StorageError,
  type StoredObject,
} from "./storage.ts";
import { concatBytes } from "../../lib/bytes.ts";

/** S3 needs the length of a body first: this much is sent at once, and longer objects in parts of it. */
const PART_BYTES = 8 * 1024 * 1024;

interface Call {
  key?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer> | string;
  signal?: AbortSignal | undefined;
}

/**
 * Objects in a bucket, by the S3 protocol with path-style addresses and signed bodies. A process that is killed during
 * a multipart upload leaves parts, which no key shows: configure the bucket to abort incomplete uploads.
 */
export class S3Storage implements Storage {
  private readonly caller = new HttpCaller();

  constructor(private readonly options: S3Options) {}

  async put(
    key: string,
    body: ReadableStream<Uint8Array> | Uint8Array,
    { signal }: PutOptions = {},
  ): Promise<StoredObject> {
    checkKey(key);
    const parts: string[] = [];
    let held: Uint8Array<ArrayBuffer>[] = [];
    let [holding, size] = [0, 0];
    let upload: string | undefined;
    const sendPart = async () => {
      upload ??= await this.begin(key, signal);
      const query = { partNumber: String(parts.length + 1), uploadId: upload };
      const { headers } = await this.done("PUT", { key, query, body: concatBytes(held), signal });
      parts.push(headers.get("etag") ?? "");
      [held, holding] = [[], 0];
    };
    try {
      for await (const chunk of chunksOf(body, signal)) {
        held.push(chunk);
        holding += chunk.byteLength;
        size += chunk.byteLength;
        if (holding >= PART_BYTES) await sendPart();
      }
      if (upload === undefined) {
        const { headers } = await this.done("PUT", { key, body: concatBytes(held), signal });
        return { key, size, etag: bare(headers.get("etag")), stored_at: instant(headers.get("date")) };
      }
      if (holding > 0) await sendPart();
      const { headers, text } = await this.done("POST", {
        key,
        query: { uploadId: upload },
        body: completion(parts),
        signal,
      });
      return { key, size, etag: bare(field(text, "ETag")), stored_at: instant(headers.get("date")) };
    } catch (error) {
      if (upload !== undefined) await this.done("DELETE", { key, query: { uploadId: upload } }).catch(() => {});
      throw error;
    }
  }

  async get(key: string, request?: RangeRequest): Promise<ReadObject | undefined> {
    checkKey(key);
    const response = await this.ask("GET", { key, headers: request ? { range: renderRange(request) } : {} });
    if (!response.ok) {
      const error = await failure(response);
      if (error.code === "NoSuchKey") return;
      throw error.error;
    }
    const range = parseContentRange(response.headers.get("content-range"));
    const object = described(key, response.headers, range?.size);
    const body = response.body ?? new Blob([]).stream();
    if (!request) return { object, body };
    if (range) return { object, body, range: { start: range.start, end: range.end } };
    // An empty object has no range; some servers answer with all of it.
    await body.cancel();
    throw new StorageError(object.size === 0 ? "range" : "fault", "The storage did not answer with a range");
  }

  async head(key: string): Promise<StoredObject | undefined> {
    checkKey(key);
    const response = await this.ask("HEAD", { key });
    await response.body?.cancel();
    if (response.status === 404) return;
    if (!response.ok) throw (await failure(response)).error;
    return described(key, response.headers);
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.done("DELETE", { key });
  }

  /** Ordered by key. Other objects in the bucket are skipped. */
  async list({ after, limit }: { after?: string; limit: number }): Promise<StoredObject[]> {
    if (after !== undefined) checkKey(after);
    const { prefix } = this.options;
    let from = after === undefined ? undefined : prefix + after;
    for (let more = true; more;) {
      const query: Record<string, string> = { "list-type": "2", "max-keys": String(Math.min(limit, MAX_LISTED)) };
      if (prefix) query.prefix = prefix;
      if (from !== undefined) query["start-after"] = from;
      const { text } = await this.done("GET", { query });
      const entries = [...text.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, entry]) => entry!);
      const found = entries.map((entry) => ({
        key: field(entry, "Key").slice(prefix.length),
        size: Number(field(entry, "Size")),
        etag: bare(field(entry, "ETag")),
        stored_at: instant(field(entry, "LastModified")),
      })).filter(({ key }) => isKey(key));
      if (found.length > 0) return found;
      more = entries.length > 0 && field(text, "IsTruncated") === "true";
      from = field(entries.at(-1) ?? "", "Key");
    }
    return [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.caller[Symbol.dispose]();
  }

  private async begin(key: string, signal: AbortSignal | undefined): Promise<string> {
    const { text } = await this.done("POST", { key, query: { uploads: "" }, signal });
    return field(text, "UploadId");
  }

  /** A call that must succeed. Some failures have the status 200. */
  private async done(method: string, call: Call): Promise<{ headers: Headers; text: string }> {
    const response = await this.ask(method, call);
    if (!response.ok) throw (await failure(response)).error;
    const text = await response.text();
    if (/<Error>/.test(text)) throw new StorageError("fault", `S3 answered ${field(text, "Code")}`);
    return { headers: response.headers, text };
  }

  private async ask(method: string, { key, query = {}, headers = {}, body, signal }: Call): Promise<Response> {
    const { endpoint, bucket, prefix, region, accessKeyId, secretAccessKey } = this.options;
    const path = key === undefined ? "" : `/${prefix}${key}`;
    const hash = createHash("sha256").update(body ?? "").digest("hex");
    const signed = await new AwsV4Signer({
      method,
      url: `${endpoint}/${bucket}${path}?${new URLSearchParams(query)}`,
      headers: { ...headers, "x-amz-content-sha256": hash },
      service: "s3",
      region,
      accessKeyId,
      secretAccessKey,
    }).sign();
    return await this.caller.ask(signed.url, {
      method,
      headers: signed.headers,
      ...(body === undefined ? {} : { body }),
      ...(signal ? { signal } : {}),
    });
  }
}

function completion(etags: string[]): string {
  const parts = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
  return `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
}

function described(key: string, headers: Headers, size = Number(headers.get("content-length"))): StoredObject {
  return { key, size, etag: bare(headers.get("etag")), stored_at: instant(headers.get("last-modified")) };
}

async function failure(response: Response): Promise<{ code: string; error: StorageError }> {
  const { status } = response;
  const text = await response.text().catch(() => "");
  const code = field(text, "Code");
  const message = `S3 answered ${[status, code, field(text, "Message")].filter(Boolean).join(": ")}`;
  if (status === 416) return { code, error: new StorageError("range", message) };
  if (status === 401 || status === 403) return { code, error: new StorageError("refused", message) };
  if (status === 429 || status >= 500) return { code, error: new StorageError("unavailable", message) };
  return { code, error: new StorageError("fault", message) };
}

/** The text of an XML element without children; empty if there is none. */
function field(xml: string, name: string): string {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? "";
  const named: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (all, decimal, hex, name) => {
    if (decimal ?? hex) return String.fromCodePoint(decimal ? Number(decimal) : parseInt(hex, 16));
    return named[name] ?? all;
  });
}

function bare(etag: string | null): string {
  return (etag ?? "").replaceAll('"', "");
}

/** In RFC 3339, from the formats of headers and elements. */
function instant(text: string | null): string {
  const time = Date.parse(text ?? "");
  return new Date(Number.isNaN(time) ? Date.now() : time).toISOString();
}
