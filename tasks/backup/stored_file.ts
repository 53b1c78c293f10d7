/** Files of a backup: written once, synced to disk, and hashed as a stream. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";

export interface Stored {
  bytes: number;
  sha256: string;
}

/** Readable by the owner only: a backup has password hashes and emails. */
const PRIVATE = 0o600;

/** Writes a table's text, compressed. Each row is a line, because the format escapes line breaks. */
export async function writeTable(path: string, text: Readable): Promise<Stored & { rows: number }> {
  let rows = 0;
  const counted = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) rows++;
      done(null, chunk);
    },
  });
  const file = new Measured();
  await pipeline(
    text,
    counted,
    createGzip({ level: 6 }),
    file,
    createWriteStream(path, { flags: "wx", mode: PRIVATE }),
  );
  await sync(path);
  return { rows, ...file.stored() };
}

export async function writeFile(path: string, content: Readable | Uint8Array): Promise<Stored> {
  const file = new Measured();
  const source = content instanceof Uint8Array ? Readable.from([content]) : content;
  await pipeline(source, file, createWriteStream(path, { flags: "wx", mode: PRIVATE }));
  await sync(path);
  return file.stored();
}

export async function measure(path: string): Promise<Stored> {
  const file = new Measured();
  file.resume();
  await pipeline(createReadStream(path), file);
  return file.stored();
}

/** The text of a table. */
export function readTable(path: string): Readable {
  const text = createGunzip();
  // An error of either stream reaches the reader.
  pipeline(createReadStream(path), text).catch((error) => text.destroy(error));
  return text;
}

/** Passes data through and computes its length and hash. */
class Measured extends Transform {
  readonly #hash = createHash("sha256");
  #bytes = 0;

  override _transform(chunk: Uint8Array, _encoding: string, done: (error: null, chunk: Uint8Array) => void): void {
    this.#bytes += chunk.length;
    this.#hash.update(chunk);
    done(null, chunk);
  }

  stored(): Stored {
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }
}

async function sync(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}
