/** Only variants smaller than the square are made. */
const VARIANTS = [1080, 320];

/** The centred square of a picture as displayed; an odd pixel remains on the right or at the bottom. */
export function squareOf(width: number, height: number): { x: number; y: number; side: number } {
  const side = Math.min(width, height);
  return { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), side };
}

export function variantsOf(side: number): number[] {
  return VARIANTS.filter((variant) => variant < side);
}
