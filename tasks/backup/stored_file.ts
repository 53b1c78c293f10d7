/** Files of a backup: written once, durable when that is done, and hashed on the way, a piece at a time. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";

export interface Stored {
  bytes: number;
  sha256: string;
}

/** For its owner alone: there are password hashes in a backup, and letters. */
const PRIVATE = 0o600;

/** The text of a table, compressed. Each row is a line, as the format writes a line break in a value otherwise. */
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
  // An error of either reaches who reads.
  pipeline(createReadStream(path), text).catch((error) => text.destroy(error));
  return text;
}

/** Passes on what comes, and knows its length and hash. */
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
