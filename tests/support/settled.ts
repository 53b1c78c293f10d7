/** Waiting until the stream of events has taken in everything so far. */
import { NOTIFYING_KINDS } from "../../actors/notification.ts";
import type { Sql } from "../../db/sql.ts";
import { until } from "./wait.ts";

/** Every event has its number; the last one. */
export async function eventsNumbered(sql: Sql): Promise<number> {
  const { seq } = await until("every event has its number", async () => {
    const [row] = await sql.query<{ seq: number | null; open: boolean }>(
      `select (select max(seq) from events) as seq,
        exists (select from events where seq is null) or exists (select from like_signals) as open`,
    );
    return row?.open === false && { seq: row.seq ?? 0 };
  });
  return seq;
}

/** The notifications have read all numbered events. */
export async function notificationsRead(sql: Sql): Promise<void> {
  await until("the notifications have read all events", async () => {
    const waiting = await sql.query(
      `select 1 from events
        where kind = any ($1) and seq > (select seq from consumers where name = 'notifications')
      union all select 1 from like_signals`,
      [[...NOTIFYING_KINDS]],
    );
    return waiting.length === 0;
  }, { everyMs: 5 });
}
