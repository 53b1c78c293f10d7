import { type Storage, StorageError } from "../../storage/storage.ts";
import type { ImageEngine } from "../engine.ts";
import { ImageRefused } from "../picture.ts";
import { probe } from "../probe.ts";

export interface CropTask {
  id: string;
  /** The key of the upload in storage. */
  staged: string;
  /** The key of the square; variants get `<key>.<side>`. */
  key: string;
}

/** The result of a task, from the crop process. Unless `permanent`, a retry may succeed. */
export type CropAnswer =
  | { id: string; ok: true; photo: CropResult }
  | { id: string; ok: false; permanent: boolean; reason: CropFailure; message: string };

export interface CropResult {
  format: "jpeg" | "webp";
  side: number;
  /** The full square. */
  bytes: number;
  variants: number[];
  /** BlurHash */
  placeholder: string;
}

export const CROP_FAILURES = [
  "no-image",
  "too-many-pixels",
  "staged-missing",
  "storage-unavailable",
  "storage-failed",
  "engine-failed",
] as const;
export type CropFailure = typeof CROP_FAILURES[number];

/** An expected error, with its code. */
class Failure extends Error {
  constructor(readonly reason: CropFailure, readonly permanent: boolean, message: string) {
    super(message);
  }
}

/**
 * Never throws. Repeating a task stores the same bytes under the same keys. The full square is stored last: if it
 * exists, so do its variants.
 */
export async function cropTask(
  storage: Pick<Storage, "get" | "put">,
  engine: ImageEngine,
  { id, staged, key }: CropTask,
): Promise<CropAnswer> {
  try {
    const bytes = await stored(() => read(storage, staged));
    const { format, side, full, variants, placeholder } = await engine.crop(bytes, probe(bytes));
    await Promise.all(variants.map((variant) => stored(() => storage.put(`${key}.${variant.side}`, variant.bytes))));
    await stored(() => storage.put(key, full));
    const sides = variants.map((variant) => variant.side);
    return { id, ok: true, photo: { format, side, bytes: full.length, variants: sides, placeholder } };
  } catch (error) {
    const { reason, permanent, message } = error instanceof Failure ? error : failureOf(error);
    return { id, ok: false, permanent, reason, message };
  }
}

async function read(storage: Pick<Storage, "get">, key: string): Promise<Uint8Array> {
  const found = await storage.get(key);
  if (!found) throw new Failure("staged-missing", true, `No upload exists at "${key}"`);
  return await new Response(found.body as ReadableStream<Uint8Array<ArrayBuffer>>).bytes();
}

/** Errors here are those of the storage. */
async function stored<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Failure) throw error;
    const kind = error instanceof StorageError ? error.kind : "unavailable";
    if (kind === "too-large") throw new Failure("engine-failed", true, messageOf(error));
    throw new Failure(kind === "unavailable" ? "storage-unavailable" : "storage-failed", false, messageOf(error));
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof ImageRefused)) return new Failure("engine-failed", false, messageOf(error));
  return new Failure(error.rule === "pixels" ? "too-many-pixels" : "no-image", true, error.message);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
