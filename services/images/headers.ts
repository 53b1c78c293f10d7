import { exifOrientation, startsWith } from "./exif.ts";
import { ImageRefused, MAX_PIXELS, type Probe } from "./picture.ts";

/** A request of a walk: the next bytes, at most 64 KiB, or to skip some. */
export type Step = { take: number } | { skip: number };
/** Ends when everything is known. Throws `ImageRefused`. */
export type Walk = Generator<Step, void, Uint8Array>;

export interface Found {
  probe: Probe;
  /** The walk has reached the pixels and may end here: only the orientation can still follow. */
  usable: boolean;
}

const MAX_TAKEN = 65_536;

export function* walkHeader(found: Found): Walk {
  const head = yield { take: 3 };
  if (startsWith(head, "\xff\xd8\xff")) return yield* walkJpeg(found);
  if (startsWith(head, "\x89PN")) return yield* walkPng(found);
  if (startsWith(head, "RIF")) return yield* walkWebp(found);
  throw unknownKind(head, startsWith(head, "GIF") ? head : yield { take: 13 });
}

/** Like libjpeg: bytes between segments that are no marker are ignored. */
function* walkJpeg(found: Found): Walk {
  found.probe.format = "jpeg";
  let [sized, turned, markerBegun] = [false, false, true];
  while (true) {
    const byte = (yield { take: 1 })[0]!;
    if (byte === 0xff) {
      markerBegun = true;
      continue;
    }
    const marker = markerBegun ? byte : 0;
    markerBegun = false;
    const standsAlone = marker <= 0x01 || marker >= 0xd0 && marker <= 0xd7;
    if (standsAlone) continue;
    if (marker === 0xd8 || marker === 0xd9) throw noImage("a JPEG without pixels");
    const length = u16(yield { take: 2 }) - 2;
    if (length < 0) throw noImage("a JPEG with a segment of impossible length");
    if (marker === 0xda) {
      if (!sized) throw noImage("a JPEG whose size is missing");
      found.usable = true;
      return;
    }
    if (isFrame(marker)) {
      if (sized || length < 5) throw noImage("a JPEG whose size is unclear");
      const frame = yield { take: 5 };
      setSize(found, u16(frame, 3), u16(frame, 1));
      sized = true;
      yield { skip: length - 5 };
    } else if (marker === 0xe1 && !turned) {
      const segment = yield { take: length };
      turned = startsWith(segment, "Exif\0\0");
      if (turned) found.probe.orientation = exifOrientation(segment);
    } else yield { skip: length };
  }
}

/** SOF0–SOF15, except DHT, JPG and DAC in that range. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function* walkPng(found: Found): Walk {
  found.probe.format = "png";
  const start = yield { take: 5 + 8 };
  if (!startsWith(start, "G\r\n\x1a\n\0\0\0\rIHDR")) throw noImage("a PNG that does not begin with its header");
  const header = yield { take: 13 + 4 };
  setSize(found, u32(header), u32(header, 4));
  while (true) {
    const chunk = yield { take: 8 };
    const length = u32(chunk);
    if (startsWith(chunk, "IDAT", 4)) {
      found.usable = true;
      return;
    }
    if (startsWith(chunk, "IEND", 4)) throw noImage("a PNG without pixels");
    if (startsWith(chunk, "acTL", 4)) found.probe.animated = true;
    const taken = startsWith(chunk, "eXIf", 4) ? Math.min(length, MAX_TAKEN) : 0;
    if (taken > 0) found.probe.orientation = exifOrientation(yield { take: taken });
    yield { skip: length - taken + 4 };
  }
}

function* walkWebp(found: Found): Walk {
  found.probe.format = "webp";
  const start = yield { take: 1 + 4 + 4 };
  if (!startsWith(start, "F") || !startsWith(start, "WEBP", 5)) throw noImage("a RIFF file that is no WebP");
  // EXIF follows the pixels.
  let exifComes = false;
  for (let first = true; !found.usable || exifComes; first = false) {
    const chunk = yield { take: 8 };
    const length = u32(chunk, 4, true);
    const is = (name: string) => startsWith(chunk, name);
    let taken = 0;
    if (is("VP8X") && first) {
      const canvas = yield { take: taken = 10 };
      exifComes = (canvas[0]! & 0x08) !== 0;
      found.probe.animated = (canvas[0]! & 0x02) !== 0;
      setSize(found, 1 + u24(canvas, 4), 1 + u24(canvas, 7));
    } else if (is("VP8 ") || is("VP8L")) {
      const frame = yield { take: taken = is("VP8 ") ? 10 : 5 };
      setSize(found, ...is("VP8 ") ? lossySize(frame) : losslessSize(frame));
      found.usable = true;
    } else if (is("ANMF")) {
      if (first) throw noImage("a WebP that does not begin with its header");
      found.usable = true;
    } else if (is("EXIF")) {
      found.probe.orientation = exifOrientation(yield { take: taken = Math.min(length, MAX_TAKEN) });
      exifComes = false;
    } else if (first) throw noImage("a WebP that does not begin with its header");
    if (taken > length) throw noImage("a WebP with a chunk of impossible length");
    yield { skip: length + length % 2 - taken };
  }
}

function lossySize(frame: Uint8Array): [number, number] {
  const keyFrame = (frame[0]! & 1) === 0 && startsWith(frame, "\x9d\x01\x2a", 3);
  if (!keyFrame) throw noImage("a WebP that does not begin with a complete frame");
  return [u16(frame, 6, true) & 0x3fff, u16(frame, 8, true) & 0x3fff];
}

function losslessSize(frame: Uint8Array): [number, number] {
  if (frame[0] !== 0x2f) throw noImage("a WebP whose lossless frame has no signature");
  const bits = u32(frame, 1, true);
  return [1 + (bits & 0x3fff), 1 + (bits >>> 14 & 0x3fff)];
}

function setSize({ probe }: Found, width: number, height: number): void {
  if (width === 0 || height === 0) throw noImage(`a ${probe.format} of ${width}×${height} pixels`);
  if (width * height > MAX_PIXELS) {
    throw new ImageRefused("pixels", `Expected at most ${MAX_PIXELS} pixels, got ${width}×${height}`);
  }
  probe.width = width;
  probe.height = height;
}

const OTHER_KINDS: [name: string, signature: string, at: number][] = [
  ["GIF", "GIF", 0],
  ["BMP", "BM", 0],
  ["TIFF", "II*\0", 0],
  ["TIFF", "MM\0*", 0],
  ["AVIF", "ftypavif", 4],
  ["HEIC", "ftyphei", 4],
  ["HEIC", "ftypmif1", 4],
  ["JPEG XL", "\xff\x0a", 0],
  ["JPEG XL", "JXL ", 4],
  ["SVG", "<svg", 0],
  ["PSD", "8BPS", 0],
];

function unknownKind(head: Uint8Array, more: Uint8Array): ImageRefused {
  const start = new Uint8Array([...head, ...more]);
  const kind = OTHER_KINDS.find(([, signature, at]) => startsWith(start, signature, at))?.[0];
  return kind === undefined
    ? noImage("something else")
    : new ImageRefused("format", `Expected a JPEG, PNG or WebP picture, got a ${kind}`);
}

/** `got` completes "…, got". */
export function noImage(got: string): ImageRefused {
  return new ImageRefused("no_image", `Expected a JPEG, PNG or WebP picture, got ${got}`);
}

function u16(bytes: Uint8Array, at = 0, little = false): number {
  return little ? bytes[at]! | bytes[at + 1]! << 8 : bytes[at]! << 8 | bytes[at + 1]!;
}

function u24(bytes: Uint8Array, at: number): number {
  return bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16;
}

function u32(bytes: Uint8Array, at = 0, little = false): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, little);
}
