import type { Reader, Writer } from "./sql.ts";

/**
 * Receipts of requests with an `Idempotency-Key`. They are outside actors, so these are writes without a turn. Each is
 * one statement, and the row alone decides who holds a receipt.
 */
export interface ReceiptRow {
  id: string;
  body_mac: string;
  state: "running" | "done";
  status: number | null;
  location: string | null;
  body: string | null;
}

export interface Answered {
  status: number;
  location: string | null;
  body: string | null;
}

/** Claims a new key for `leaseS` seconds; `false` if it exists. */
export async function claimReceipt(
  sql: Writer,
  { id, scope, key, bodyMac, leaseS }: { id: string; scope: string; key: string; bodyMac: string; leaseS: number },
): Promise<boolean> {
  const rows = await sql.execute(
    `insert into receipts (id, scope, key, body_mac, lease_until)
    values ($1, $2, $3, $4, now() + make_interval(secs => $5))
    on conflict (scope, key) do nothing returning id`,
    [id, scope, key, bodyMac, leaseS],
    "receipt.claim",
  );
  return rows.length > 0;
}

export async function receiptOf(sql: Reader, scope: string, key: string): Promise<ReceiptRow | undefined> {
  const [row] = await sql.query<ReceiptRow>(
    "select id, body_mac, state, status, location, body from receipts where scope = $1 and key = $2",
    [scope, key],
    "receipt.of",
  );
  return row;
}

/** Takes over a running receipt whose lease has expired: of many callers one gets it. `result` is the effect so far. */
export async function takeOverReceipt(
  sql: Writer,
  id: string,
  leaseS: number,
): Promise<{ id: string; result: unknown } | undefined> {
  const [row] = await sql.execute<{ id: string; result: unknown }>(
    `update receipts set lease_until = now() + make_interval(secs => $2)
    where id = $1 and state = 'running' and lease_until <= now() returning id, result`,
    [id, leaseS],
    "receipt.take_over",
  );
  return row;
}

/** Extends the leases of running receipts. */
export async function renewReceipts(sql: Writer, ids: readonly string[], leaseS: number): Promise<void> {
  await sql.execute(
    `update receipts set lease_until = now() + make_interval(secs => $2)
    where id = any($1::uuid[]) and state = 'running'`,
    [ids, leaseS],
    "receipt.renew",
  );
}

/** If one process alone uses the database, no earlier request is running. */
export async function endAllReceiptLeases(sql: Writer): Promise<void> {
  await sql.execute(
    "update receipts set lease_until = now() where state = 'running' and lease_until > now()",
    [],
    "receipt.end_all_leases",
  );
}

export async function finishReceipt(sql: Writer, id: string, { status, location, body }: Answered): Promise<void> {
  await sql.execute(
    "update receipts set state = 'done', status = $2, location = $3, body = $4 where id = $1 and state = 'running'",
    [id, status, location, body],
    "receipt.finish",
  );
}

/** Deletes a key whose request had no effect. One with an effect stays: it may only be taken over. */
export async function deleteReceipt(sql: Writer, id: string): Promise<void> {
  await sql.execute(
    "delete from receipts where id = $1 and state = 'running' and result is null",
    [id],
    "receipt.delete",
  );
}

/** Lets the next caller take over a running receipt at once. */
export async function endReceiptLease(sql: Writer, id: string): Promise<void> {
  await sql.execute(
    "update receipts set lease_until = now() where id = $1 and state = 'running'",
    [id],
    "receipt.end_lease",
  );
}

/** How long a response can be replayed (`docs/limits.md`). */
export const RECEIPT_HOURS = 48;

/** At most 10,000 at once, so that the statement stays short; returns the number. */
export async function pruneReceipts(sql: Writer): Promise<number> {
  const rows = await sql.execute(
    `delete from receipts where id in (
      select id from receipts where created_at < now() - make_interval(hours => $1) order by created_at limit 10000)
    returning id`,
    [RECEIPT_HOURS],
    "receipt.delete_old",
  );
  return rows.length;
}
