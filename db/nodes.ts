import type { Reader, Writer } from "./sql.ts";

/**
 * Renews the lease of a node by the clock of the database, records the acknowledgement up to which its sockets are
 * current, and reads the last one issued.
 */
export async function renewLease(
  sql: Writer,
  node: { id: string; leaseMs: number; acknowledged: number },
): Promise<number> {
  const [row] = await sql.execute<{ mark: number }>(
    `insert into nodes (id, lease_until, told) values ($1, clock_timestamp() + $2 * interval '1 millisecond', $3)
    on conflict (id) do update set lease_until = excluded.lease_until, told = excluded.told
    returning (select last_value from acknowledgements) as mark`,
    [node.id, node.leaseMs, node.acknowledged],
    "node.renew",
  );
  return row!.mark;
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
 * The other nodes with a lease in force, or until recently, whose sockets may not have what was committed before this
 * number.
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
