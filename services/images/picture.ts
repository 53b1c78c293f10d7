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
export const MAX_PIXELS = 50_000_000;

/** A file that is not, or not truly, a picture of a kind that is taken. Its message is for whoever sent it. */
export class ImageRefused extends Error {
  override readonly name = "ImageRefused";
  constructor(readonly rule: "no_image" | "format" | "pixels" | "extension" | "too_large", message: string) {
    super(message);
  }
}

/** What the file itself is to blame for, in the words of a refusal: another try with it would come to the same. */
const REFUSALS: Record<string, { rule: string; message: string }> = {
  "no-image": {
    rule: "no_image",
    message: "Expected a JPEG, PNG or WebP picture that can be decoded, got one that is broken or breaks off",
  },
  "too-many-pixels": { rule: "pixels", message: `Expected at most ${MAX_PIXELS} pixels` },
};

/** The rule that a photo's `problem` stands for; undefined where the file is not to blame. */
export function refusalOf(problem: string): { rule: string; message: string } | undefined {
  return Object.hasOwn(REFUSALS, problem) ? REFUSALS[problem] : undefined;
}

/** Width and height as the picture is meant to be seen. */
export function oriented({ width, height, orientation }: Probe): { width: number; height: number } {
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}
