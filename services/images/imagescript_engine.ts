import { Image } from "imagescript";
import { type CroppedPhoto, type ImageEngine, READS } from "./engine.ts";
import { noImage } from "./headers.ts";
import type { Probe } from "./picture.ts";
import { PLACEHOLDER_SIDE, placeholderOf } from "./placeholder.ts";
import { averaged, flatten, type Pixels, turned } from "./pixels.ts";
import { squareOf, variantsOf } from "./square.ts";
import { mend } from "./mend.ts";

const QUALITY = 85;

/**
 * ImageScript, for where sharp cannot be: no WebP, neither in nor out, so what is transparent becomes white; colour profiles are
 * not applied, but dropped; CMYK is converted by rule of thumb. Decoding blocks its thread, takes about ten times as long as
 * sharp, and up to 28 bytes a pixel: the largest PNGs do not fit the memory of a crop process. Orientation and the smaller sizes
 * are our own work.
 */
export const imagescriptEngine: ImageEngine = {
  name: "imagescript",
  reads: READS.imagescript,
  async crop(bytes: Uint8Array, probe: Probe): Promise<CroppedPhoto> {
    if (!READS.imagescript.includes(probe.format)) throw noImage(`a ${probe.format}, which this engine does not read`);
    const mended = mend(bytes, probe.format);
    // This decoder does not say what it found missing.
    if (mended.cut) throw noImage(`a ${probe.format} that breaks off after ${bytes.length} bytes`);
    const square = await decodeSquare(mended.bytes, probe);
    const full = await encode(square);
    const variants: CroppedPhoto["variants"] = [];
    let pixels = square;
    for (const side of variantsOf(square.side)) {
      pixels = averaged(pixels, side);
      variants.push({ side, bytes: await encode(pixels) });
    }
    const small = averaged(pixels, Math.min(PLACEHOLDER_SIDE, square.side));
    const placeholder = placeholderOf(small.rgba, small.side);
    return { format: "jpeg", side: square.side, full, variants, placeholder };
  },
};

/** Cut out as stored, and turned after that: a square around the centre has fewer pixels to turn. */
async function decodeSquare(bytes: Uint8Array, probe: Probe): Promise<Pixels> {
  const image = await Image.decode(bytes).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw noImage(`a ${probe.format} that cannot be decoded (${why})`);
  });
  const { x, y, side } = storedSquare(image.width, image.height, probe.orientation);
  image.crop(x, y, side, side);
  const { bitmap } = image;
  const rgba = new Uint8Array(bitmap.buffer, bitmap.byteOffset, bitmap.byteLength);
  flatten(rgba);
  return { rgba: turned(rgba, side, probe.orientation), side };
}

/** The square of the turned picture, in the stored one: where a turn mirrors an axis, its odd pixel changes sides. */
function storedSquare(width: number, height: number, orientation: number): { x: number; y: number; side: number } {
  const { x, y, side } = squareOf(width, height);
  const mirrorsX = [2, 3, 7, 8].includes(orientation);
  const mirrorsY = [3, 4, 6, 7].includes(orientation);
  return { x: mirrorsX ? width - side - x : x, y: mirrorsY ? height - side - y : y, side };
}

async function encode({ rgba, side }: Pixels): Promise<Uint8Array> {
  const image = new Image(side, side);
  image.bitmap.set(rgba);
  return await image.encodeJPEG(QUALITY);
}
