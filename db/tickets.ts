import type { Writer } from "./sql.ts";

/** Of many concurrent uses of a ticket, on any node, one gets `true`. */
export async function useTicketOnce(sql: Writer, id: string, expiresAt: Date): Promise<boolean> {
  const rows = await sql.execute(
    "insert into used_tickets (id, expires_at) values ($1, $2) on conflict do nothing returning id",
    [id, expiresAt.toISOString()],
    "ticket.use",
  );
  return rows.length > 0;
}

/** Deletes tickets that have expired by any node's clock. */
export async function pruneTickets(sql: Writer): Promise<void> {
  await sql.execute(
    "delete from used_tickets where expires_at < now() - interval '10 minutes'",
    [],
    "ticket.forget",
  );
}
