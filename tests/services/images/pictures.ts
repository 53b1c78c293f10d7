/** Generated pictures for tests. */
import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";

export interface Raw {
  width: number;
  height: number;
  /** 3 or 4 for each pixel. */
  channels: 3 | 4;
  data: Uint8Array;
}

export function draw(width: number, height: number, colour: (x: number, y: number) => number[]): Raw {
  const channels = colour(0, 0).length as 3 | 4;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += channels) data.set(colour(x, y), at);
  }
  return { width, height, channels, data };
}

export function paint({ width, height, channels, data }: Raw): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

/**
 * Grey cells of 8×8 pixels, neighbours differ. One begins at the square's corner, so that cells are the blocks of a
 * JPEG and keep their exact colour. A crop that is one pixel off is detected.
 */
export function cells(width: number, height: number): Raw {
  const side = Math.min(width, height);
  const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
  return draw(width, height, (x, y) => {
    const grey = cell(Math.floor((x - left) / 8), Math.floor((y - top) / 8));
    return [grey, grey, grey];
  });
}

/** The grey of a cell, by its position in the square. */
export function cell(column: number, row: number): number {
  return 30 + (((column * 5 + row * 7) % 11) + 11) % 11 * 20;
}

/** The stored pixels of a picture that is displayed with this orientation (EXIF 2.32, 4.6.4 A). */
export function storedAs(seen: Raw, orientation: number): Raw {
  const { width: w, height: h, channels, data } = seen;
  const swapped = orientation >= 5;
  const stored = { width: swapped ? h : w, height: swapped ? w : h, channels, data: new Uint8Array(data.length) };
  const places: Record<number, (x: number, y: number) => [number, number]> = {
    1: (x, y) => [x, y],
    2: (x, y) => [w - 1 - x, y],
    3: (x, y) => [w - 1 - x, h - 1 - y],
    4: (x, y) => [x, h - 1 - y],
    5: (x, y) => [y, x],
    6: (x, y) => [y, w - 1 - x],
    7: (x, y) => [h - 1 - y, w - 1 - x],
    8: (x, y) => [h - 1 - y, x],
  };
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const [storedX, storedY] = places[orientation]!(x, y);
      const from = (y * w + x) * channels;
      stored.data.set(data.subarray(from, from + channels), (storedY * stored.width + storedX) * channels);
    }
  }
  return stored;
}

export async function pixelsOf(bytes: Uint8Array): Promise<Raw> {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels as 3 | 4, data };
}

export function pixel({ width, channels, data }: Raw, x: number, y: number): number[] {
  const at = (y * width + x) * channels;
  return [...data.subarray(at, at + channels)];
}

/** Like a photo: it does not compress well. */
export function photo(width: number, height: number): Raw {
  return draw(width, height, (x, y) => [
    128 + 100 * Math.sin(x / 17) * Math.cos(y / 23),
    128 + 90 * Math.cos(x / 7 + y / 11),
    (x * 31 + y * 17 + (x * y) % 13 * 9) % 256,
  ]);
}

/** A small file with a black PNG of 8-bit grey and any size. */
export function hugePng(width: number, height: number, { wholly = true } = {}): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const rows = deflateSync(Buffer.alloc(wholly ? (width + 1) * height : 1000));
  const end = pngChunk("IEND", new Uint8Array());
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    pngChunk("IHDR", header),
    pngChunk("IDAT", rows),
    end,
  ]);
}

export function pngChunk(type: string, data: Uint8Array): Uint8Array {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, "latin1");
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

/** A JPEG with another size in its frame header. */
export function resizedHeader(jpeg: Uint8Array, width: number, height: number): Uint8Array {
  const copy = Buffer.from(jpeg);
  for (let at = 2; at + 9 < copy.length; at += 2 + copy.readUInt16BE(at + 2)) {
    if (copy[at + 1] !== 0xc0 && copy[at + 1] !== 0xc2) continue;
    copy.writeUInt16BE(height, at + 5);
    copy.writeUInt16BE(width, at + 7);
    return copy;
  }
  throw new Error("The JPEG has no frame header");
}

/** Names of the segments of a JPEG's header, or of the chunks of a WebP. */
export function partsOf(bytes: Uint8Array): string[] {
  const view = Buffer.from(bytes);
  const parts: string[] = [];
  if (view.toString("latin1", 0, 4) === "RIFF") {
    for (let at = 12; at + 8 <= view.length;) {
      parts.push(view.toString("latin1", at, at + 4));
      const length = view.readUInt32LE(at + 4);
      at += 8 + length + length % 2;
    }
  } else {
    for (let at = 2; view[at + 1] !== 0xda; at += 2 + view.readUInt16BE(at + 2)) {
      parts.push(view[at + 1]!.toString(16));
    }
  }
  return parts;
}
