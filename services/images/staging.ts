import { createHash, randomBytes } from "node:crypto";
import { announceFiles, dropUploads } from "../../db/files.ts";
import type { NewPhoto } from "../../db/photos.ts";
import type { Writer } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { type Storage, StorageError } from "../storage/storage.ts";
import { checkName, type Format, ImageProbe, ImageRefused } from "./probe.ts";

/** Maximum length of a photo, in bytes (`docs/limits.md`). */
export const MAX_PHOTO_BYTES = 15 * 1024 * 1024;
/** An upload without a commit is deleted after this time. */
const UPLOAD_TTL_MS = 60 * 60_000;

/** An upload that is durable in storage and has no owner yet. */
export interface StagedPhoto extends NewPhoto {
  /** SHA-256 of its bytes. The ETag of a storage would not do: in S3 it depends on how the bytes were sent. */
  digest: string;
}

export interface Upload {
  /** The name of the file, for its extension. */
  name: string;
  alt: string | null;
  body: ReadableStream<Uint8Array> | Uint8Array;
  /** The field that a refusal names. */
  path: string;
}

/** Stores uploads. Their header is checked while they stream to storage, with little in memory. */
export class Staging {
  constructor(
    private readonly storage: Storage,
    private readonly sql: Writer,
    /** The formats that the engine supports. */
    private readonly formats: readonly Format[],
  ) {}

  /** Throws `validation` with the field, or `storage-unavailable`; then nothing is kept. */
  async stage({ name, alt, body, path }: Upload): Promise<StagedPhoto> {
    const staged_key = `staged-${randomBytes(16).toString("base64url")}`;
    const inspector = new UploadInspector(name, this.formats);
    // Recorded before the first byte, so that no crash leaves an unknown file.
    await announceFiles(this.sql, [staged_key], UPLOAD_TTL_MS);
    try {
      const stream = body instanceof Uint8Array ? new Blob([body as BlobPart]).stream() : body;
      await this.storage.put(staged_key, stream.pipeThrough(inspector.stream));
    } catch (error) {
      // An unavailable storage may have it anyway: then it is deleted when it expires.
      if (!(error instanceof StorageError && error.kind === "unavailable") || inspector.refusal) {
        await this.drop([{ staged_key }]);
      }
      // For the storage a refusal is an aborted body.
      const refusal = inspector.refusal ?? (error instanceof ImageRefused ? error : undefined);
      if (refusal) throw refused(path, refusal);
      if (error instanceof StorageError) {
        throw new AppError("storage-unavailable", undefined, { retryAfter: 1, cause: error });
      }
      throw error;
    }
    const key = randomBytes(16).toString("base64url");
    return { id: newId(), key, staged_key, name: shortened(name), alt, digest: inspector.digest };
  }

  /** Deletes those that no commit has taken. */
  async drop(photos: readonly { staged_key: string }[]): Promise<void> {
    if (photos.length === 0) return;
    await dropUploads(this.sql, photos.map(({ staged_key }) => staged_key)).catch(() => {
      // They are deleted when they expire.
    });
  }
}

/** Checks the stream: length, format and dimensions. */
class UploadInspector {
  refusal: ImageRefused | undefined;
  digest = "";
  readonly stream: TransformStream<Uint8Array, Uint8Array>;

  constructor(name: string, formats: readonly Format[]) {
    const probe = new ImageProbe();
    const hash = createHash("sha256");
    let size = 0;
    let judged = false;
    const inspector = (found: { format: Format }) => {
      judged = true;
      checkName(name, found.format);
      if (!formats.includes(found.format)) {
        throw new ImageRefused("format", `Expected ${formats.join(" or ")}, got ${found.format}`);
      }
    };
    this.stream = new TransformStream({
      transform: (chunk, controller) => {
        this.#guard(() => {
          size += chunk.byteLength;
          if (size > MAX_PHOTO_BYTES) throw new ImageRefused("too_large", `Expected at most ${MAX_PHOTO_BYTES} bytes`);
          if (!judged) {
            probe.push(chunk);
            const found = probe.result();
            if (found) inspector(found);
          }
        });
        hash.update(chunk);
        controller.enqueue(chunk);
      },
      flush: () => {
        this.#guard(() => {
          if (!judged) inspector(probe.finish());
        });
        this.digest = hash.digest("hex");
      },
    });
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof ImageRefused) this.refusal = error;
      throw error;
    }
  }
}

/** In a form that Postgres accepts, and not too long. */
function shortened(name: string): string {
  return [...name.toWellFormed().replaceAll("\0", "")].slice(0, 200).join("");
}

export function refused(path: string, { rule, message }: ImageRefused): AppError {
  return new AppError("validation", undefined, { errors: [{ path, rule, message }] });
}
