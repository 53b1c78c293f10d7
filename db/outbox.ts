import type { Reader } from "./sql.ts";

/** Committed events that the sequencer has given no place in the order yet. */
export async function outboxLag(sql: Reader): Promise<number> {
  const [row] = await sql.query<{ n: number }>("select count(*) as n from events where seq is null", [], "outbox.lag");
  return row?.n ?? 0;
}
