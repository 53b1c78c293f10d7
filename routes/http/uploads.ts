import { AppError } from "../../lib/errors.ts";
import type { StagedPhoto, Staging } from "../../services/images/staging.ts";
import {
  type BodyWait,
  MAX_BODY_BYTES,
  parseJson,
  readJsonText,
  storable,
  unstorable,
  unstorablePath,
  WHOLE_BODY,
} from "../../contract/body.ts";
import { longRequests } from "./long_requests.ts";
import { type MultipartRules, readMultipart } from "./multipart.ts";

/** How an endpoint accepts photos: as multipart/form-data, or as base64 in its JSON. */
export interface UploadRules extends MultipartRules {
  /** Converts a multipart body to the value that the schema checks. */
  value: (fields: Record<string, string[]>, files: JsonPhoto[]) => unknown;
}

/** A photo in a body. One that was sent as a file has no `data`. */
export interface JsonPhoto {
  name: string;
  data: string;
  alt?: string | null | undefined;
}

/** Bytes of a JSON body with photos (`docs/limits.md`). */
export const MAX_PHOTO_BODY_BYTES = 32 * 1024 * 1024;
/** Lists and objects in such a body. A body with all photos has eleven; texts may contain any character. */
const MAX_BRACKETS = 50_000;
/** Long JSON bodies in memory, and streaming uploads. */
const LONG_CONCURRENCY = 3;
const STREAM_CONCURRENCY = 24;
/** Per account. */
const EACH = 2;
const MAX_WAITING = 100;
const WAIT_MS = 20_000;
const SHARES = { perKey: EACH, maxWaiting: MAX_WAITING, waitMs: WAIT_MS };

/** Reads the bodies of requests that may have photos. */
export class Uploads {
  #long = longRequests({ ...SHARES, concurrency: LONG_CONCURRENCY });
  #streams = longRequests({ ...SHARES, concurrency: STREAM_CONCURRENCY });

  constructor(private readonly staging: Staging) {}

  /** Whether the body may be long, so that permissions are checked before it is read. */
  static heavy(request: Request): boolean {
    const length = request.headers.get("content-length");
    return isMultipart(request) || length === null || Number(length) > MAX_BODY_BYTES;
  }

  /** `who` is counted, so that nobody takes all places. The caller disposes of the result. */
  async receive(request: Request, rules: UploadRules, who: string, wait: BodyWait): Promise<Received> {
    if (!Uploads.heavy(request)) return await this.#json(request, rules, wait);
    const multipart = isMultipart(request);
    const place = await (multipart ? this.#streams : this.#long).acquire({ key: who });
    try {
      return multipart ? await this.#form(request, rules, place) : await this.#json(request, rules, wait, place);
    } catch (error) {
      place[Symbol.dispose]();
      throw error;
    }
  }

  async #json(request: Request, rules: UploadRules, wait: BodyWait, place?: Disposable): Promise<Received> {
    const text = await readJsonText(request, wait, MAX_PHOTO_BODY_BYTES);
    // A body for one photo is the photo itself.
    const pathOf = (index: number) => rules.mostFiles === 1 ? "data" : pathIn(rules, index);
    if (text.length > MAX_BODY_BYTES) checkBrackets(text);
    return new Received(parseJson(text), text, pathOf, this.staging, [], place);
  }

  async #form(request: Request, rules: UploadRules, place: Disposable): Promise<Received> {
    const staged: StagedPhoto[] = [];
    try {
      const fields = await readMultipart(request, rules, async ({ name, index, body }) => {
        staged.push(await this.staging.stage({ name, alt: null, body, path: pathIn(rules, index) }));
      });
      if (!storable(fields)) throw unstorable(unstorablePath(fields));
      const value = rules.value(fields, staged.map(({ name }) => ({ name, data: "" })));
      const content = JSON.stringify([fields, staged.map(({ name, digest }) => [name, digest])]);
      return new Received(value, content, (index) => pathIn(rules, index), this.staging, staged, place);
    } catch (error) {
      await this.staging.drop(staged);
      throw error;
    }
  }
}

/** A received body. Disposing of it deletes uploads that no commit has claimed. */
export class Received implements AsyncDisposable {
  constructor(
    /** The value for the body's schema; released after the check. */
    public value: unknown,
    /** The content that identifies a repeated request with an Idempotency-Key. */
    public content: string,
    /** The field of a photo by its index, for errors. */
    public readonly pathOf: (index: number) => string,
    private readonly staging: Staging,
    private readonly staged: StagedPhoto[],
    private readonly place?: Disposable,
  ) {}

  /**
   * The photos in storage. Those of a JSON body are stored now; their text and their place are released. Throws
   * `validation` naming the field.
   */
  async photos(listed: readonly JsonPhoto[]): Promise<StagedPhoto[]> {
    for (let i = this.staged.length; i < listed.length; i++) {
      const { name, data, alt = null } = listed[i]!;
      listed[i]!.data = "";
      const path = this.pathOf(i);
      this.staged.push(await this.staging.stage({ name, alt, body: decoded(data, path), path }));
    }
    this.place?.[Symbol.dispose]();
    return this.staged.map((photo, i) => ({ ...photo, alt: listed[i]?.alt ?? photo.alt }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.place?.[Symbol.dispose]();
    await this.staging.drop(this.staged);
  }
}

/** Creating millions of lists and objects would block the process for seconds. */
function checkBrackets(text: string): void {
  let left = MAX_BRACKETS;
  for (const bracket of ["[", "{"]) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (--left >= 0) continue;
      throw new AppError("validation", undefined, {
        errors: [{
          path: WHOLE_BODY,
          rule: "too_complex",
          message: `Expected at most ${MAX_BRACKETS} lists and objects`,
        }],
      });
    }
  }
}

/** The field of a file, for errors. */
function pathIn({ files, mostFiles }: UploadRules, index: number): string {
  return mostFiles === 1 ? files : `${files}.${index}.data`;
}

function isMultipart(request: Request): boolean {
  return /^multipart\/form-data *;/i.test(request.headers.get("content-type") ?? "");
}

function decoded(data: string, path: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(data);
  } catch {
    throw new AppError("validation", undefined, {
      errors: [{ path, rule: "base64", message: "Expected base64 (RFC 4648 §4)" }],
    });
  }
}
