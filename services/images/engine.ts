import type { Format, Probe } from "./picture.ts";

export interface CroppedPhoto {
  format: "jpeg" | "webp";
  side: number;
  /** The square at full size. */
  full: Uint8Array;
  /** The largest first. */
  variants: { side: number; bytes: Uint8Array }[];
  /** BlurHash */
  placeholder: string;
}

/**
 * Decodes, crops, encodes: the same bytes in give the same bytes out. Orientation is applied, all metadata is gone, colours are
 * sRGB with 8 bits; of what moves only the first picture is left.
 */
export interface ImageEngine {
  readonly name: "sharp" | "imagescript";
  readonly reads: readonly Format[];
  /** Throws `ImageRefused` for what cannot be decoded; any other error is the engine's own. */
  crop(bytes: Uint8Array, probe: Probe): Promise<CroppedPhoto>;
}

/** What an engine reads, known without loading it. */
export const READS: Record<ImageEngine["name"], readonly Format[]> = {
  sharp: ["jpeg", "png", "webp"],
  imagescript: ["jpeg", "png"],
};
