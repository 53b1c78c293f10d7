import { PARTITIONS } from "../../db/partitions.ts";

/** What a node does next so that all nodes have equal shares. */
export interface Step {
  /** The number of free partitions to take. */
  take: number;
  /** The number of its own partitions to give up. */
  release: number;
}

/** What a node knows when it decides. */
export interface Shares {
  /** The partitions of this node. */
  mine: number;
  /** Those of each other node. */
  others: readonly number[];
  /** Those without an owner. */
  free: number;
  /** They have been free for a while, so the nodes below their share may be unable to take them. */
  isLate: boolean;
}

/**
 * The next step of a node. Pure. Free partitions are first for nodes below the even share, so that what one gives up
 * for them comes back to none. Two shares differ by at most one when no node has a step left. Nodes below the even
 * share that leave partitions free for long are taken for unable: the others share without them.
 */
export function nextStep({ mine, others, free, isLate }: Shares): Step {
  const evenly = Math.floor(PARTITIONS / (others.length + 1));
  const able = isLate ? others.filter((other) => other >= evenly) : others;
  const nodes = able.length + 1;
  const least = Math.floor(PARTITIONS / nodes);
  const most = Math.ceil(PARTITIONS / nodes);
  const isShort = able.some((other) => other < least);
  if (free > 0 && mine < least) return { take: Math.min(free, least - mine), release: 0 };
  if (free > 0 && mine < most && !isShort) return { take: Math.min(free, most - mine), release: 0 };
  if (mine > most) return { take: 0, release: mine - most };
  return { take: 0, release: !isLate && isShort && free === 0 && mine > least ? 1 : 0 };
}
