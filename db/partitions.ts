import type { Writer } from "./sql.ts";

/** The number of partitions of all actors, stored at the first start and checked at each (see `0001_core.sql`). */
export const PARTITIONS = 64;

/** Work that only one node does at a time: the node with this partition. */
export const SINGLES = { likes: 0, housekeeping: 1 } as const;

/** FNV-1a of the id, so that `user/x` and `feed/x` are on the same node. */
export function partitionOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % PARTITIONS;
}

/** A partition under an epoch. The epoch allows writes: a commit under another one changes nothing. */
export interface Grant {
  partition: number;
  epoch: number;
}

/**
 * Takes partitions that are the node's own, free, or of a node whose lease is over, and raises their epochs. The row
 * lock waits for statements of the former owner, so it can write nothing afterwards. `known` has the epochs that the
 * caller read: if another node was faster, the epoch differs and the partition stays with it. Takes nothing for a node
 * without a lease in force.
 */
export async function takePartitions(sql: Writer, node: string, known: readonly Grant[]): Promise<Grant[]> {
  return await sql.execute<Grant>(
    `with available as materialized (
      select p.id from partitions p join unnest($2::int[], $3::bigint[]) as k(id, epoch)
        on k.id = p.id and k.epoch = p.epoch
      where (p.node is null or p.node = $1 or not exists (
          select from nodes o where o.id = p.node and o.lease_until > clock_timestamp()))
        and exists (select from nodes n where n.id = $1 and n.lease_until > clock_timestamp())
      -- In the order of commits, so that neither waits for the other.
      order by p.id for update of p)
    update partitions p set epoch = p.epoch + 1, node = $1 from available a where p.id = a.id
    returning p.id as partition, p.epoch`,
    [node, known.map(({ partition }) => partition), known.map(({ epoch }) => epoch)],
    "partition.take",
  );
}

/** Gives partitions up, so that any node may take them. */
export async function releasePartitions(sql: Writer, node: string, grants: readonly Grant[]): Promise<void> {
  await sql.execute(
    `update partitions p set node = null from unnest($2::int[], $3::bigint[]) as k(id, epoch)
    where p.id = k.id and p.epoch = k.epoch and p.node = $1`,
    [node, grants.map(({ partition }) => partition), grants.map(({ epoch }) => epoch)],
    "partition.release",
  );
}
