import type { DirectoryRow, NodeRow } from "../../db/nodes.ts";
import { PARTITIONS } from "../../db/partitions.ts";

/** What Postgres says: these nodes, and who has each partition under epoch 1. By default a lease of a minute. */
export function directoryRow(
  nodes: Readonly<Record<string, Partial<NodeRow>>>,
  owner: (partition: number) => string | null = () => null,
): DirectoryRow {
  return {
    nodes: Object.entries(nodes).map(([id, fields]) => ({
      id,
      url: `http://${id}`,
      actors: true,
      left_ms: 60_000,
      started_at: "2026-01-31T12:00:00.000Z",
      ...fields,
    })),
    owners: Array.from({ length: PARTITIONS }, (_, partition) => ({ epoch: 1, node: owner(partition) })),
    now_ms: Date.now(),
  };
}
