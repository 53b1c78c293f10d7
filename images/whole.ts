import { startsWith } from "./exif.ts";
import { noImage } from "./headers.ts";
import type { Format } from "./picture.ts";

/**
 * Throws `ImageRefused` where a file breaks off before its picture's end. Decoders are no judges of that: they read no further
 * than the square's last row, and grey is what some put in the place of what is missing. What follows the end is nobody's business.
 */
export function refuseBroken(bytes: Uint8Array, format: Format): void {
  const whole = format === "jpeg" ? jpegEnds(bytes) : format === "png" ? pngEnds(bytes) : webpEnds(bytes);
  if (!whole) throw noImage(`a ${format} that breaks off after ${bytes.length} bytes`);
}

function jpegEnds(bytes: Uint8Array): boolean {
  for (let at = 2; at >= 2;) {
    at = bytes.indexOf(0xff, at);
    const marker = bytes[at + 1];
    if (at < 0 || marker === undefined) return false;
    if (marker === 0xd9) return true;
    if (marker === 0xff) at += 1;
    else if (marker <= 0x01 || marker >= 0xd0 && marker <= 0xd8) at += 2;
    else if (at + 4 > bytes.length) return false;
    else at += 2 + Math.max(2, bytes[at + 2]! << 8 | bytes[at + 3]!);
  }
  return false;
}

function pngEnds(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (startsWith(bytes, "IEND", at + 4)) return true;
  }
  return false;
}

function webpEnds(bytes: Uint8Array): boolean {
  if (bytes.length < 12) return false;
  return bytes.length >= 8 + new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(4, true);
}
