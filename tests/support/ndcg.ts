/**
 * Normalised discounted cumulative gain of the first ten, with gains 2^grade − 1: 1 where nothing could stand better.
 */
export function ndcg(found: readonly string[], wanted: Readonly<Record<string, number>>): number {
  const ideal = gain(Object.values(wanted).sort((a, b) => b - a));
  return gain(found.map((name) => wanted[name] ?? 0)) / ideal;
}

function gain(grades: readonly number[]): number {
  return grades.slice(0, 10).reduce((sum, grade, i) => sum + (2 ** grade - 1) / Math.log2(i + 2), 0);
}
