import type { Reader, Writer } from "./sql.ts";

/** A node as the others know it. */
export interface NodeRow {
  id: string;
  /** Where other nodes reach its HTTP server; null if it is not known. */
  url: string | null;
  /** Whether it takes partitions. */
  actors: boolean;
  /** Milliseconds until its lease ends; not positive once it is over. */
  left_ms: number;
  started_at: string;
}

/** All nodes and the owner of each partition, at one moment. */
export interface DirectoryRow {
  nodes: NodeRow[];
  /** By partition. */
  owners: { epoch: number; node: string | null }[];
  /** The clock of the database, in Unix milliseconds. */
  now_ms: number;
}

const DIRECTORY = `
  (select coalesce(json_agg(json_build_object('id', n.id, 'url', n.url, 'actors', n.actors, 'started_at', n.started_at,
      'left_ms', extract(epoch from n.lease_until - clock_timestamp()) * 1000) order by n.started_at, n.id), '[]')
    from nodes n) as nodes,
  (select json_agg(json_build_object('epoch', p.epoch, 'node', p.node) order by p.id) from partitions p) as owners,
  extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`;

export interface LeaseRequest {
  id: string;
  url: string | null;
  actors: boolean;
  leaseMs: number;
  /** The acknowledgement up to which its sockets and caches are current. */
  acknowledged: number;
}

/**
 * Renews the lease of a node by the clock of the database. Returns the last acknowledgement issued, and the directory
 * as it was before this renewal.
 */
export async function renewLease(sql: Writer, node: LeaseRequest): Promise<DirectoryRow & { mark: number }> {
  const [row] = await sql.execute<DirectoryRow & { mark: number }>(
    `with renewed as (
      insert into nodes (id, lease_until, told, url, actors)
      values ($1, clock_timestamp() + $2 * interval '1 millisecond', $3, $4, $5)
      on conflict (id) do update set lease_until = excluded.lease_until, told = excluded.told, url = excluded.url,
        actors = excluded.actors
      returning 1)
    select (select last_value from acknowledgements) as mark, ${DIRECTORY} from renewed`,
    [node.id, node.leaseMs, node.acknowledged, node.url, node.actors],
    "node.renew",
  );
  return row!;
}

/**
 * Cuts leases of more than twice the usual length to the usual length from now. They were written before the clock of
 * the database was set back, and dead nodes would look alive for as long. No running node is robbed: it counts on its
 * own lease for less than the usual length from the renewal that wrote it, which was before, and the next renewal
 * replaces what this writes.
 */
export async function shortenLeases(sql: Writer, leaseMs: number): Promise<void> {
  await sql.execute(
    `update nodes set lease_until = clock_timestamp() + $1::float8 * interval '1 millisecond'
    where lease_until > clock_timestamp() + 2 * $1::float8 * interval '1 millisecond'`,
    [leaseMs],
    "node.shorten",
  );
}

/** Nodes, and who has which partition. */
export async function readDirectory(sql: Reader): Promise<DirectoryRow> {
  const [row] = await sql.query<DirectoryRow>(`select ${DIRECTORY}`, [], "node.directory");
  return row!;
}

export async function leave(sql: Writer, id: string): Promise<void> {
  await sql.execute("delete from nodes where id = $1", [id], "node.leave");
}

/** Whatever was committed before this returns is visible to a node that reads this number or a later one first. */
export async function nextAcknowledgement(sql: Writer): Promise<number> {
  const [row] = await sql.execute<{ mark: number }>(
    "select nextval('acknowledgements') as mark",
    [],
    "node.next_acknowledgement",
  );
  return row!.mark;
}

export async function lastAcknowledgement(sql: Reader): Promise<number> {
  const [row] = await sql.query<{ mark: number }>(
    "select last_value as mark from acknowledgements",
    [],
    "node.last_acknowledgement",
  );
  return row!.mark;
}

/**
 * The other nodes with a lease in force, or until recently, whose sockets and caches may not have what was committed
 * before this number.
 */
export async function nodesToAcknowledge(sql: Reader, { id, mark, marginMs }: {
  id: string;
  mark: number;
  marginMs: number;
}): Promise<string[]> {
  const rows = await sql.query<{ id: string }>(
    `select id from nodes where id <> $1 and told < $2
      and lease_until > clock_timestamp() - $3 * interval '1 millisecond'`,
    [id, mark, marginMs],
    "node.to_hear",
  );
  return rows.map(({ id }) => id);
}

/** Used when no other node can be running. */
export async function deleteAllNodes(sql: Writer): Promise<void> {
  await sql.execute("delete from nodes", [], "node.forget_all");
}

/** Deletes rows that killed nodes left behind. */
export async function pruneNodes(sql: Writer): Promise<void> {
  await sql.execute("delete from nodes where lease_until < clock_timestamp() - interval '1 hour'", [], "node.forget");
}
