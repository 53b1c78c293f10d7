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
 * ImageScript, where sharp is not available. It supports no WebP, so transparency becomes white; colour profiles are
 * dropped without being applied; CMYK is converted approximately. Decoding blocks its thread, takes about ten times as
 * long as sharp, and up to 28 bytes per pixel: the largest PNGs exceed the memory of a crop process. Orientation and
 * the smaller sizes are implemented here.
 */
export const imagescriptEngine: ImageEngine = {
  name: "imagescript",
  reads: READS.imagescript,
  async crop(bytes: Uint8Array, probe: Probe): Promise<CroppedPhoto> {
    if (!READS.imagescript.includes(probe.format)) throw noImage(`a ${probe.format}, which this engine does not read`);
    const mended = mend(bytes, probe.format);
    // The decoder does not report missing data.
    if (mended.cut) throw noImage(`a ${probe.format} that ends after ${bytes.length} bytes`);
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

/** Cropped as stored, then rotated: a centred square has fewer pixels to rotate. */
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

/** The square of the rotated picture in the stored one: if an axis is mirrored, its odd pixel is on the other side. */
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
