export type Format = "jpeg" | "png" | "webp";

/** What a picture's header says of it. */
export interface Probe {
  format: Format;
  /** As stored: orientations 5–8 swap the two for whoever looks at it. */
  width: number;
  height: number;
  /** EXIF 1–8 */
  orientation: number;
  animated: boolean;
}

/** More are refused before anything is decoded. */
export const MOST_PIXELS = 50_000_000;

/** A file that is not, or not truly, a picture of a kind that is taken. Its message is for whoever sent it. */
export class ImageRefused extends Error {
  override readonly name = "ImageRefused";
  constructor(readonly rule: "no_image" | "format" | "pixels" | "extension" | "too_large", message: string) {
    super(message);
  }
}

/** Width and height as the picture is meant to be seen. */
export function oriented({ width, height, orientation }: Probe): { width: number; height: number } {
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}
