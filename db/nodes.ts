import type { Reader, Sql } from "./sql.ts";

/** Renews a node's lease by the database's clock, and tells up to which acknowledgement its sockets know all; reads the last one taken. */
export async function renewLease(
  sql: Sql,
  node: { id: string; leaseMs: number; acknowledged: number },
): Promise<number> {
  const [row] = await sql.query<{ mark: number }>(
    `insert into nodes (id, lease_until, told) values ($1, clock_timestamp() + $2 * interval '1 millisecond', $3)
    on conflict (id) do update set lease_until = excluded.lease_until, told = excluded.told
    returning (select last_value from acknowledgements) as mark`,
    [node.id, node.leaseMs, node.acknowledged],
    "node.renew",
  );
  return row!.mark;
}

export async function leave(sql: Sql, id: string): Promise<void> {
  await sql.query("delete from nodes where id = $1", [id], "node.leave");
}

/** What was committed before this returns is seen by whoever reads this number or a later one, and then looks. */
export async function nextAcknowledgement(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ mark: number }>(
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

/** The other nodes whose lease holds, or held until a moment ago, and whose sockets may not know yet what was committed before this number. */
export async function nodesToAcknowledge(sql: Reader, { id, mark, marginMs }: {
  id: string;
  mark: number;
  marginMs: number;
}): Promise<string[]> {
  const rows = await sql.query<{ id: string }>(
    `select id from nodes where id <> $1 and told < $2 and lease_until > clock_timestamp() - $3 * interval '1 millisecond'`,
    [id, mark, marginMs],
    "node.to_hear",
  );
  return rows.map(({ id }) => id);
}

/** Where no node can be at work but the one that asks. */
export async function deleteAllNodes(sql: Sql): Promise<void> {
  await sql.query("delete from nodes", [], "node.forget_all");
}

/** Rows that killed nodes left behind. */
export async function pruneNodes(sql: Sql): Promise<void> {
  await sql.query("delete from nodes where lease_until < clock_timestamp() - interval '1 hour'", [], "node.forget");
}
