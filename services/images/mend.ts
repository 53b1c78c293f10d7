import { startsWith } from "./exif.ts";
import type { Format } from "./picture.ts";

/** A file as a decoder can judge it. */
export interface Mended {
  bytes: Uint8Array;
  /**
   * Whether the file broke off before its end was marked. Perhaps nothing else is missing, as browsers take it: a decoder has to
   * read it all to know, for it stops at the square's last row by itself, and some put grey in the place of what is missing.
   */
  cut: boolean;
}

/**
 * Mends what decoders stumble over and browsers do not, while the pixels are all there: a sequential JPEG whose scans name no range
 * of coefficients (cameras write zeros), an end that is not marked. What follows the end is nobody's business.
 */
export function mend(bytes: Uint8Array, format: Format): Mended {
  if (format === "jpeg") return mendJpeg(bytes);
  return format === "png" ? { bytes, cut: !pngEnds(bytes) } : mendWebp(bytes);
}

const EOI = Uint8Array.of(0xff, 0xd9);

function mendJpeg(bytes: Uint8Array): Mended {
  const copy = bytes.slice();
  let sequential = false;
  for (let at = 2; at >= 2;) {
    at = copy.indexOf(0xff, at);
    const marker = copy[at + 1];
    if (at < 0 || marker === undefined) break;
    if (marker === 0xd9) return { bytes: copy, cut: false };
    if (marker === 0xff) at += 1;
    else if (marker <= 0x01 || marker >= 0xd0 && marker <= 0xd8) at += 2;
    else if (at + 4 > copy.length) break;
    else {
      const end = at + 2 + Math.max(2, copy[at + 2]! << 8 | copy[at + 3]!);
      if (marker >= 0xc0 && marker <= 0xc2) sequential = marker !== 0xc2;
      // Ss, Se and AhAl have one value each in a sequential scan (ITU-T T.81, table B.3).
      if (marker === 0xda && sequential && end <= copy.length) copy.set([0, 63, 0], end - 3);
      at = end;
    }
  }
  // Half a marker at the end belongs to no pixel.
  const whole = copy.at(-1) === 0xff ? copy.subarray(0, -1) : copy;
  return { bytes: concat(whole, EOI), cut: true };
}

function pngEnds(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (startsWith(bytes, "IEND", at + 4)) return true;
  }
  return false;
}

/** Its decoder reads a frame to its end, but no file that is shorter than it says. */
function mendWebp(bytes: Uint8Array): Mended {
  if (bytes.length < 12) return { bytes, cut: true };
  const cut = bytes.length < 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (!cut) return { bytes, cut };
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(4, (copy.length - 8) & ~1, true);
  return { bytes: copy, cut };
}

function concat(one: Uint8Array, other: Uint8Array): Uint8Array {
  const all = new Uint8Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}
