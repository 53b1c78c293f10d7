/** The number of partitions of all actors, stored at the first start and checked at each (see `0001_core.sql`). */
export const PARTITIONS = 64;

/** FNV-1a of the id, so that `user/x` and `feed/x` are on the same node. */
export function partitionOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % PARTITIONS;
}
