import { type Storage, StorageError } from "../storage/storage.ts";
import type { ImageEngine } from "./engine.ts";
import { ImageRefused } from "./picture.ts";
import { probe } from "./probe.ts";

export interface CropTask {
  id: string;
  /** Where the upload lies in storage. */
  staged: string;
  /** Where the square goes; its variants go beside it, to `<key>.<side>`. */
  key: string;
}

/** What a task came to, as the crop process says it. Not `permanent`: another try may do better. */
export type CropAnswer =
  | { id: string; ok: true; photo: CropResult }
  | { id: string; ok: false; permanent: boolean; reason: CropFailure; message: string };

export interface CropResult {
  format: "jpeg" | "webp";
  side: number;
  /** Of the full square. */
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

/** What may go wrong on the way, with the word for it. */
class Failure extends Error {
  constructor(readonly reason: CropFailure, readonly permanent: boolean, message: string) {
    super(message);
  }
}

/**
 * Never throws. Done twice, it puts the same bytes to the same keys. The full square is put last, so that where it is, its
 * variants are.
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
  if (!found) throw new Failure("staged-missing", true, `There is no upload at "${key}"`);
  return await new Response(found.body as ReadableStream<Uint8Array<ArrayBuffer>>).bytes();
}

/** Whatever goes wrong here is the storage's. */
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
