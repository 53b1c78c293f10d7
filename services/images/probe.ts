import { type Found, noImage, type Step, walkHeader } from "./headers.ts";
import { type Format, ImageRefused, type Probe } from "./picture.ts";

export { type Format, ImageRefused, MAX_PIXELS, type Probe } from "./picture.ts";

/** Steps in a header: its segments and what separates them. A real header has some dozens; this limits the work. */
const MAX_STEPS = 100_000;

/**
 * Reads the header of a picture from a stream, with at most 64 KiB in memory. Nothing is decoded: a file that passes
 * may still be damaged after its header.
 */
export class ImageProbe {
  #found: Found = {
    probe: { format: "jpeg", width: 0, height: 0, orientation: 1, animated: false },
    usable: false,
  };
  #walk = walkHeader(this.#found);
  #skip = 0;
  #wanted: Uint8Array = new Uint8Array();
  #filled = 0;
  #steps = 0;
  #seen = 0;
  #ended = false;
  #refused: ImageRefused | undefined;

  constructor() {
    // Runs to the first step; its input is not used.
    this.#advance();
  }

  /** Throws `ImageRefused` as soon as the file is known to fail, and in all later calls. */
  push(chunk: Uint8Array): void {
    if (this.#refused) throw this.#refused;
    this.#seen += chunk.length;
    for (let at = 0; !this.#ended;) {
      const left = chunk.length - at;
      if (this.#skip > left) {
        this.#skip -= left;
        return;
      }
      at += this.#skip;
      this.#skip = 0;
      const piece = chunk.subarray(at, at + this.#wanted.length - this.#filled);
      this.#wanted.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled < this.#wanted.length) return;
      this.#advance();
    }
  }

  /** Once everything is known. For a WebP with EXIF, that is at its end. */
  result(): Probe | undefined {
    return this.#ended && !this.#refused ? { ...this.#found.probe } : undefined;
  }

  /** After the last byte. Throws `ImageRefused` if the file ended before its pixels. */
  finish(): Probe {
    if (this.#refused) throw this.#refused;
    if (this.#found.usable) return { ...this.#found.probe };
    throw this.#refused = noImage(this.#seen === 0 ? "an empty file" : `a file that ends after ${this.#seen} bytes`);
  }

  #advance(): void {
    try {
      if (++this.#steps > MAX_STEPS) throw noImage("a header without end");
      const { value, done } = this.#walk.next(this.#wanted);
      this.#ended = done === true;
      this.#await(value ?? { skip: 0 });
    } catch (error) {
      this.#ended = true;
      if (error instanceof ImageRefused) this.#refused = error;
      throw error;
    }
  }

  #await(step: Step): void {
    this.#skip = "skip" in step ? step.skip : 0;
    this.#wanted = new Uint8Array("take" in step ? step.take : 0);
    this.#filled = 0;
  }
}

/** A complete file at once. Throws `ImageRefused`. */
export function probe(bytes: Uint8Array): Probe {
  const probe = new ImageProbe();
  probe.push(bytes);
  return probe.finish();
}

const EXTENSIONS: Record<string, Format> = { jpg: "jpeg", jpeg: "jpeg", png: "png", webp: "webp" };

/** Throws `ImageRefused` if the extension of the name does not fit the content. */
export function checkName(name: string, format: Format): void {
  const extension = /\.([^./\\]*)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  const named = Object.hasOwn(EXTENSIONS, extension) ? EXTENSIONS[extension] : undefined;
  if (named === format) return;
  throw new ImageRefused(
    "extension",
    named === undefined
      ? `Expected a name that ends in .jpg, .jpeg, .png or .webp, got "${name}"`
      : `Expected a ${named} picture, as the name is "${name}", got a ${format}`,
  );
}
