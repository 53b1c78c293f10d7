export type Format = "jpeg" | "png" | "webp";

/** The header of a picture. */
export interface Probe {
  format: Format;
  /** As stored: orientations 5–8 swap the two for viewers. */
  width: number;
  height: number;
  /** EXIF 1–8 */
  orientation: number;
  animated: boolean;
}

/** Larger pictures are refused before decoding. */
export const MAX_PIXELS = 50_000_000;

/** A file that is not a picture of a supported kind. The message is for the caller. */
export class ImageRefused extends Error {
  override readonly name = "ImageRefused";
  constructor(readonly rule: "no_image" | "format" | "pixels" | "extension" | "too_large", message: string) {
    super(message);
  }
}

/** Problems of the file itself, as validation errors: a retry would fail too. */
const REFUSALS: Record<string, { rule: string; message: string }> = {
  "no-image": {
    rule: "no_image",
    message: "Expected a JPEG, PNG or WebP picture that can be decoded, got one that is damaged or incomplete",
  },
  "too-many-pixels": { rule: "pixels", message: `Expected at most ${MAX_PIXELS} pixels` },
};

/** The rule for the `problem` of a photo; undefined if the file is not the cause. */
export function refusalOf(problem: string): { rule: string; message: string } | undefined {
  return Object.hasOwn(REFUSALS, problem) ? REFUSALS[problem] : undefined;
}

/** Width and height as displayed. */
export function oriented({ width, height, orientation }: Probe): { width: number; height: number } {
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}
