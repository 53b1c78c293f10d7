/** Pictures made by the tests. */
import sharp, { type Sharp } from "sharp";

/** Every column and every row has a colour of its own, as far as there are colours. */
export function gradient(width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      pixels[i++] = Math.floor(x * 255 / Math.max(1, width - 1));
      pixels[i++] = Math.floor(y * 255 / Math.max(1, height - 1));
      pixels[i++] = 128;
    }
  }
  return pixels;
}

function picture(width: number, height: number): Sharp {
  return sharp(gradient(width, height), { raw: { width, height, channels: 3 } });
}

export async function pngOf(width: number, height: number): Promise<Uint8Array> {
  return new Uint8Array(await picture(width, height).png().toBuffer());
}

export async function jpegOf(width: number, height: number): Promise<Uint8Array> {
  return new Uint8Array(await picture(width, height).jpeg({ quality: 90 }).toBuffer());
}

export async function webpOf(width: number, height: number): Promise<Uint8Array> {
  return new Uint8Array(await picture(width, height).webp({ quality: 90 }).toBuffer());
}
