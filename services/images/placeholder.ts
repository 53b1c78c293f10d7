import { encode } from "blurhash";

/** Placeholders are made of the square at this side, or smaller. */
export const PLACEHOLDER_SIDE = 32;
const COMPONENTS = 4;

/** The BlurHash of a small square; `rgba` is taken as opaque. */
export function placeholderOf(rgba: Uint8Array, side: number): string {
  const pixels = new Uint8ClampedArray(rgba.buffer as ArrayBuffer, rgba.byteOffset, rgba.byteLength);
  return encode(pixels, side, side, COMPONENTS, COMPONENTS);
}
