/** Of variants only those are made that are smaller than the square. */
const VARIANTS = [1080, 320];

/** The square around the centre of a picture as it is meant to be seen; an odd pixel stays on the right, or below. */
export function squareOf(width: number, height: number): { x: number; y: number; side: number } {
  const side = Math.min(width, height);
  return { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), side };
}

export function variantsOf(side: number): number[] {
  return VARIANTS.filter((variant) => variant < side);
}
