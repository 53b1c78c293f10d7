const ORIENTATION = 0x0112;
const SHORT = 3;

/** The orientation in an EXIF block (TIFF in either byte order); 1 if it is missing or invalid. */
export function exifOrientation(block: Uint8Array): number {
  // The start of a JPEG segment, and of chunks of PNG and WebP by some encoders.
  const tiff = startsWith(block, "Exif\0\0") ? block.subarray(6) : block;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (view.byteLength < 8) return 1;
  const little = startsWith(tiff, "II");
  if (!little && !startsWith(tiff, "MM") || view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > view.byteLength) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0, at = directory + 2; i < entries && at + 12 <= view.byteLength; i++, at += 12) {
    if (view.getUint16(at, little) !== ORIENTATION) continue;
    const value = view.getUint16(at + 8, little);
    return view.getUint16(at + 2, little) === SHORT && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** `text` is Latin-1. */
export function startsWith(bytes: Uint8Array, text: string, at = 0): boolean {
  if (bytes.length < at + text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}
