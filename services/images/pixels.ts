/** A square of 8-bit RGBA. */
export interface Pixels {
  rgba: Uint8Array;
  side: number;
}

/** Blends transparent pixels with white, in place. */
export function flatten(rgba: Uint8Array): void {
  for (let at = 0; at < rgba.length; at += 4) {
    const alpha = rgba[at + 3]!;
    if (alpha === 255) continue;
    for (let c = at; c < at + 3; c++) rgba[c] = 255 + Math.round((rgba[c]! - 255) * alpha / 255);
    rgba[at + 3] = 255;
  }
}

/** A stored square with its EXIF orientation applied. */
export function turned(rgba: Uint8Array, side: number, orientation: number): Uint8Array {
  if (orientation === 1) return rgba;
  // The index of a pixel in the stored square is start + column · right + row · down.
  const last = side - 1;
  const [start, right, down] = ({
    2: [last, -1, side],
    3: [side * side - 1, -1, -side],
    4: [last * side, 1, -side],
    5: [0, side, 1],
    6: [last * side, -side, 1],
    7: [side * side - 1, -side, -1],
    8: [last, side, -1],
  } as Record<number, [number, number, number]>)[orientation] ?? [0, 1, side];
  const from = new Uint32Array(rgba.buffer, rgba.byteOffset, side * side);
  const to = new Uint32Array(side * side);
  for (let row = 0, at = 0; row < side; row++) {
    for (let column = 0, place = start + row * down; column < side; column++, place += right) to[at++] = from[place]!;
  }
  return new Uint8Array(to.buffer);
}

/** Scales an opaque square down: each pixel is the mean of the complete pixels it covers. */
export function averaged({ rgba, side }: Pixels, smaller: number): Pixels {
  if (smaller === side) return { rgba, side };
  const edges = Uint32Array.from({ length: smaller + 1 }, (_, i) => Math.floor(i * side / smaller));
  const to = new Uint8Array(smaller * smaller * 4).fill(255);
  for (let row = 0, at = 0; row < smaller; row++) {
    for (let column = 0; column < smaller; column++, at += 4) {
      const [left, right, top, bottom] = [edges[column]!, edges[column + 1]!, edges[row]!, edges[row + 1]!];
      let [red, green, blue] = [0, 0, 0];
      for (let y = top; y < bottom; y++) {
        for (let from = (y * side + left) * 4; from < (y * side + right) * 4; from += 4) {
          red += rgba[from]!;
          green += rgba[from + 1]!;
          blue += rgba[from + 2]!;
        }
      }
      const count = (right - left) * (bottom - top);
      to[at] = Math.round(red / count);
      to[at + 1] = Math.round(green / count);
      to[at + 2] = Math.round(blue / count);
    }
  }
  return { rgba: to, side: smaller };
}
