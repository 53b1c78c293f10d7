import type { Format, Probe } from "./picture.ts";

export interface CroppedPhoto {
  format: "jpeg" | "webp";
  side: number;
  /** The square in full size. */
  full: Uint8Array;
  /** Largest first. */
  variants: { side: number; bytes: Uint8Array }[];
  /** BlurHash */
  placeholder: string;
}

/**
 * Decodes, crops and encodes, deterministically. The orientation is applied, all metadata removed, colours are 8-bit
 * sRGB, and of an animation only the first frame is used.
 */
export interface ImageEngine {
  readonly name: "sharp" | "imagescript";
  readonly reads: readonly Format[];
  /** Throws `ImageRefused` for input that cannot be decoded; other errors are those of the engine. */
  crop(bytes: Uint8Array, probe: Probe): Promise<CroppedPhoto>;
}

/** The formats of each engine, without loading it. */
export const READS: Record<ImageEngine["name"], readonly Format[]> = {
  sharp: ["jpeg", "png", "webp"],
  imagescript: ["jpeg", "png"],
};
