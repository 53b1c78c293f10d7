import { concatBytes } from "../../lib/bytes.ts";
import { startsWith } from "./exif.ts";
import type { Format } from "./picture.ts";

/** A file in a form that a decoder can judge. */
export interface Mended {
  bytes: Uint8Array;
  /**
   * Whether the file ends before its end marker. Possibly nothing else is missing, as browsers assume. A decoder has to
   * read everything to know: by itself it stops at the last row of the square, and some replace missing pixels by grey.
   */
  cut: boolean;
}

/**
 * Repairs what decoders reject and browsers accept, if all pixels are present: a sequential JPEG whose scans have no
 * range of coefficients (cameras write zeros), and a missing end marker. Data after the end is ignored.
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
      // Ss, Se and AhAl have fixed values in a sequential scan (ITU-T T.81, table B.3).
      if (marker === 0xda && sequential && end <= copy.length) copy.set([0, 63, 0], end - 3);
      at = end;
    }
  }
  // Half a marker at the end belongs to no pixel.
  const whole = copy.at(-1) === 0xff ? copy.subarray(0, -1) : copy;
  return { bytes: concatBytes([whole, EOI]), cut: true };
}

function pngEnds(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (startsWith(bytes, "IEND", at + 4)) return true;
  }
  return false;
}

/** The decoder reads a frame to its end, but rejects a file shorter than its header says. */
function mendWebp(bytes: Uint8Array): Mended {
  if (bytes.length < 12) return { bytes, cut: true };
  const cut = bytes.length < 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (!cut) return { bytes, cut };
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(4, (copy.length - 8) & ~1, true);
  return { bytes: copy, cut };
}
