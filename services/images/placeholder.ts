import { encode } from "blurhash";

/** The side of the square from which placeholders are computed. */
export const PLACEHOLDER_SIDE = 32;
const COMPONENTS = 4;

/** The BlurHash of a small square; `rgba` is treated as opaque. */
export function placeholderOf(rgba: Uint8Array, side: number): string {
  const pixels = new Uint8ClampedArray(rgba.buffer as ArrayBuffer, rgba.byteOffset, rgba.byteLength);
  return encode(pixels, side, side, COMPONENTS, COMPONENTS);
}
