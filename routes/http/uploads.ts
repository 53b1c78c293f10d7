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

/** How an endpoint takes photos: as multipart/form-data, or as base64 in its JSON. */
export interface UploadRules extends MultipartRules {
  /** Of a multipart body, the value that the body's schema judges. */
  value: (fields: Record<string, string[]>, files: JsonPhoto[]) => unknown;
}

/** A photo as it stands in a body; one that came as a file has no `data`. */
export interface JsonPhoto {
  name: string;
  data: string;
  alt?: string | null | undefined;
}

/** A JSON body with photos in it, in bytes (`docs/limits.md`). */
export const MAX_PHOTO_BODY_BYTES = 32 * 1024 * 1024;
/** Lists and objects of such a body; there are eleven where all photos are, and any character may stand in a text. */
const MAX_BRACKETS = 50_000;
/** Long JSON bodies that are in memory at the same time; uploads that stream. */
const LONG_CONCURRENCY = 3;
const STREAM_CONCURRENCY = 24;
/** Of one account. */
const EACH = 2;
const MAX_WAITING = 100;
const WAIT_MS = 20_000;
const SHARES = { perKey: EACH, maxWaiting: MAX_WAITING, waitMs: WAIT_MS };

/** Reads the bodies of requests that may bring photos. */
export class Uploads {
  #long = longRequests({ ...SHARES, concurrency: LONG_CONCURRENCY });
  #streams = longRequests({ ...SHARES, concurrency: STREAM_CONCURRENCY });

  constructor(private readonly staging: Staging) {}

  /** Whether a body is, or may be, so long that whoever may not send it should hear so before it is read. */
  static heavy(request: Request): boolean {
    const length = request.headers.get("content-length");
    return isMultipart(request) || length === null || Number(length) > MAX_BODY_BYTES;
  }

  /** `who` is counted: nobody holds all places. The caller disposes of what came. */
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
    // A body for one photo is the photo.
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

/** What a request has brought. When it is disposed of, uploads that no commit has made its own go. */
export class Received implements AsyncDisposable {
  constructor(
    /** What the body's schema judges; whoever has judged it lets it go. */
    public value: unknown,
    /** What the same request has again: for its Idempotency-Key. */
    public content: string,
    /** The field that a refusal of a photo names, by its place. */
    public readonly pathOf: (index: number) => string,
    private readonly staging: Staging,
    private readonly staged: StagedPhoto[],
    private readonly place?: Disposable,
  ) {}

  /**
   * The photos, in storage; those of a JSON body are put there now, and their text is let go, as is the place that was held for
   * it: what follows may take its time. Throws `validation` naming the field.
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

/** To make millions of lists and objects takes seconds, in which nobody else is answered. */
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

/** The field that a refusal of a file names. */
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
