import { createHash, randomBytes } from "node:crypto";
import { announceFiles, dropUploads } from "../../db/files.ts";
import type { NewPhoto } from "../../db/photos.ts";
import type { Sql } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { type Storage, StorageError } from "../storage/storage.ts";
import { checkName, type Format, ImageProbe, ImageRefused } from "./probe.ts";

/** A photo may be this long, in bytes (`docs/limits.md`). */
export const MAX_PHOTO_BYTES = 15 * 1024 * 1024;
/** An upload that no commit has taken over by then goes. */
const UPLOAD_TTL_MS = 60 * 60_000;

/** An upload that lies in storage, durably, and belongs to nobody yet. */
export interface StagedPhoto extends NewPhoto {
  /** SHA-256 of its bytes. A storage's ETag would not do: in S3 it follows from how the bytes came, too. */
  digest: string;
}

export interface Upload {
  /** The file's name, for its extension. */
  name: string;
  alt: string | null;
  body: ReadableStream<Uint8Array> | Uint8Array;
  /** The field a refusal names. */
  path: string;
}

/** Takes uploads in: judged by their first bytes while they stream to storage, of which little is in memory at a time. */
export class Staging {
  constructor(
    private readonly storage: Storage,
    private readonly sql: Sql,
    /** What the engine reads. */
    private readonly formats: readonly Format[],
  ) {}

  /** Throws `validation` naming the field, or `storage-unavailable`; nothing stays then. */
  async stage({ name, alt, body, path }: Upload): Promise<StagedPhoto> {
    const staged_key = `staged-${randomBytes(16).toString("base64url")}`;
    const inspector = new UploadInspector(name, this.formats);
    // Written down before its first byte, so that no crash leaves a file that nobody knows.
    await announceFiles(this.sql, [staged_key], UPLOAD_TTL_MS);
    try {
      const stream = body instanceof Uint8Array ? new Blob([body as BlobPart]).stream() : body;
      await this.storage.put(staged_key, stream.pipeThrough(inspector.stream));
    } catch (error) {
      // What is out of reach may yet have it: then it goes when its time is over.
      if (!(error instanceof StorageError && error.kind === "unavailable") || inspector.refusal) {
        await this.drop([{ staged_key }]);
      }
      // A refusal shows at the storage as a body that broke off.
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

  /** Of these, what no commit has made its own goes. */
  async drop(photos: readonly { staged_key: string }[]): Promise<void> {
    if (photos.length === 0) return;
    await dropUploads(this.sql, photos.map(({ staged_key }) => staged_key)).catch(() => {
      // They go when their time is over.
    });
  }
}

/** Looks at what streams by: its length, its kind, its measures. */
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

/** As Postgres takes it, and no longer than anybody reads. */
function shortened(name: string): string {
  return [...name.toWellFormed().replaceAll("\0", "")].slice(0, 200).join("");
}

export function refused(path: string, { rule, message }: ImageRefused): AppError {
  return new AppError("validation", undefined, { errors: [{ path, rule, message }] });
}
