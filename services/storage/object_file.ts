/**
 * One object in one file: a header of `HEADER_BYTES` with the object's description as JSON, padded with spaces and
 * ended by a line break, then the content. So the description can be read without the content.
 */
import { createHash } from "node:crypto";
import { type ByteRange, chunksOf, type PutOptions, StorageError, type StoredObject } from "./storage.ts";

/** Enough for the longest key. */
export const HEADER_BYTES = 256;
const READ_BYTES = 256 * 1024;

/** Writes an object into a new, empty file and syncs it. The caller syncs the folder. */
export async function writeObject(
  file: Deno.FsFile,
  key: string,
  body: ReadableStream<Uint8Array> | Uint8Array,
  { signal }: PutOptions,
): Promise<StoredObject> {
  const hash = createHash("sha256");
  let size = 0;
  await file.seek(HEADER_BYTES, Deno.SeekMode.Start);
  for await (const chunk of chunksOf(body, signal)) {
    hash.update(chunk);
    size += chunk.byteLength;
    await writeAll(file, chunk);
  }
  const object = { key, size, etag: hash.digest("hex").slice(0, 32), stored_at: new Date().toISOString() };
  await file.seek(0, Deno.SeekMode.Start);
  await writeAll(file, new TextEncoder().encode(JSON.stringify(object).padEnd(HEADER_BYTES - 1) + "\n"));
  await file.sync();
  return object;
}

/** Throws `fault` if the file is not a complete object. */
export async function readDescription(file: Deno.FsFile): Promise<StoredObject> {
  const header = new Uint8Array(HEADER_BYTES);
  let filled = 0;
  while (filled < HEADER_BYTES) {
    const read = await file.read(header.subarray(filled));
    if (read === null) break;
    filled += read;
  }
  try {
    const object = JSON.parse(new TextDecoder().decode(header)) as StoredObject;
    if (object.size + HEADER_BYTES === (await file.stat()).size) return object;
  } catch (error) {
    throw new StorageError("fault", "A stored file has no readable header", error);
  }
  throw new StorageError("fault", "A stored file is longer or shorter than its header says");
}

/** The content in `range`. The file is closed when the stream ends, fails or is cancelled. */
export function contentOf(file: Deno.FsFile, { start, end }: ByteRange): ReadableStream<Uint8Array> {
  let left = end - start + 1;
  return new ReadableStream({
    async start() {
      await file.seek(HEADER_BYTES + start, Deno.SeekMode.Start);
    },
    async pull(controller) {
      try {
        const chunk = new Uint8Array(Math.min(READ_BYTES, left));
        const read = left === 0 ? 0 : await file.read(chunk);
        if (read === null) throw new StorageError("fault", "A stored file is too short");
        if (read > 0) controller.enqueue(chunk.subarray(0, read));
        left -= read;
        if (left > 0) return;
        file.close();
        controller.close();
      } catch (error) {
        file.close();
        throw error;
      }
    },
    cancel: () => file.close(),
  }, { highWaterMark: 0 });
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}
