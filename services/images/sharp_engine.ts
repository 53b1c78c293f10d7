import sharp, { type Sharp } from "sharp";
import { type CroppedPhoto, type ImageEngine, READS } from "./engine.ts";
import { noImage } from "./headers.ts";
import { mend } from "./mend.ts";
import { ImageRefused, MAX_PIXELS, type Probe } from "./picture.ts";
import { PLACEHOLDER_SIDE, placeholderOf } from "./placeholder.ts";
import { squareOf, variantsOf } from "./square.ts";

sharp.concurrency(1);
sharp.cache(false);
// libvips detects formats by content: no other decoder may run.
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({ operation: ["VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadWebp"] });

const QUALITY = 85;
/** Raw pixels, 8 bits per channel. */
interface Pixels {
  data: Uint8Array;
  side: number;
  channels: 3 | 4;
}

/** libvips through sharp. Decodes a picture once; all outputs are made from the pixels of the square. */
export const sharpEngine: ImageEngine = {
  name: "sharp",
  reads: READS.sharp,
  async crop(bytes: Uint8Array, probe: Probe): Promise<CroppedPhoto> {
    const square = await decodeMended(bytes, probe);
    const encode = square.channels === 4 ? webp : jpeg;
    const [full, { variants, placeholder }] = await Promise.all([
      encode(pipeline(square), true),
      shrink(square, encode),
    ]);
    return { format: square.channels === 4 ? "webp" : "jpeg", side: square.side, full, variants, placeholder };
  },
};

/**
 * Warnings of libjpeg although every pixel is present. They do not affect the picture. Its other warnings mean missing
 * or invented pixels.
 */
const HARMLESS = /extraneous bytes before|Unknown Adobe color transform|unknown JFIF revision|Inconsistent progression/;

async function decodeMended(given: Uint8Array, probe: Probe): Promise<Pixels> {
  const { bytes, cut } = mend(given, probe.format);
  try {
    if (cut) await readWhole(bytes);
    return await decodeSquare(bytes, probe, "warning").catch((error) => {
      if (!HARMLESS.test(firstLine(error))) throw error;
      return decodeSquare(bytes, probe, "error");
    });
  } catch (error) {
    if (error instanceof ImageRefused) throw error;
    const what = cut ? `ends after ${given.length} bytes` : "cannot be decoded";
    throw noImage(`a ${probe.format} that ${what} (${firstLine(error)})`);
  }
}

/** Throws if pixels are missing. Needs limited memory, as the rows are streamed. */
async function readWhole(bytes: Uint8Array): Promise<void> {
  await sharp(bytes, { failOn: "warning", limitInputPixels: MAX_PIXELS, sequentialRead: true }).stats();
}

type FailOn = "warning" | "error";

async function decodeSquare(bytes: Uint8Array, probe: Probe, failOn: FailOn): Promise<Pixels> {
  const image = sharp(bytes, { failOn, limitInputPixels: MAX_PIXELS, sequentialRead: true });
  const { format, autoOrient } = await image.metadata();
  if (format !== probe.format) throw noImage(`a ${probe.format} that reads as ${format}`);
  const { x, y, side } = squareOf(autoOrient.width, autoOrient.height);
  const { data, info } = await image.autoOrient()
    .extract({ left: x, top: y, width: side, height: side })
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.channels === 4 && isOpaque(data)) return { data: await withoutAlpha(data, side), side, channels: 3 };
  if (info.channels !== 3 && info.channels !== 4) throw new Error(`Expected 3 or 4 channels, got ${info.channels}`);
  return { data, side, channels: info.channels };
}

/** The smaller sizes, each from the next larger one. */
async function shrink(square: Pixels, encode: typeof jpeg): Promise<Pick<CroppedPhoto, "variants" | "placeholder">> {
  const variants: CroppedPhoto["variants"] = [];
  let pixels = square;
  for (const side of variantsOf(square.side)) {
    pixels = await resized(pixels, side);
    variants.push({ side, bytes: await encode(pipeline(pixels), false) });
  }
  const side = Math.min(PLACEHOLDER_SIDE, square.side);
  const small = await pipeline(pixels).resize(side, side).flatten({ background: "white" }).ensureAlpha().raw()
    .toBuffer();
  return { variants, placeholder: placeholderOf(small, side) };
}

async function resized(pixels: Pixels, side: number): Promise<Pixels> {
  return { data: await pipeline(pixels).resize(side, side).raw().toBuffer(), side, channels: pixels.channels };
}

function pipeline({ data, side, channels }: Pixels): Sharp {
  return sharp(data, { raw: { width: side, height: side, channels }, limitInputPixels: MAX_PIXELS });
}

/** Optimized Huffman tables take more than half of a large JPEG's time and save 3 % of its bytes. */
function jpeg(image: Sharp, large: boolean): Promise<Uint8Array> {
  return image.jpeg({ quality: QUALITY, optimiseCoding: !large }).toBuffer();
}

function webp(image: Sharp, large: boolean): Promise<Uint8Array> {
  return image.webp({ quality: QUALITY, effort: large ? 1 : 3 }).toBuffer();
}

function isOpaque(rgba: Uint8Array): boolean {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 255) return false;
  return true;
}

function withoutAlpha(data: Uint8Array, side: number): Promise<Uint8Array> {
  return pipeline({ data, side, channels: 4 }).removeAlpha().raw().toBuffer();
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0]!;
}
