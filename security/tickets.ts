import { createHash } from "node:crypto";
import { z } from "zod";
import type { Sql } from "../db/sql.ts";
import { useTicketOnce } from "../db/tickets.ts";
import type { Secret } from "./secret.ts";

/** Lifetime of a ticket, in milliseconds. */
const TTL_MS = 30_000;
const PURPOSE = "ticket";
const MAX_LENGTH = 512;
const Ticket = z.object({ id: z.uuid(), sid: z.uuid(), expires: z.number() });

export interface TicketOwner {
  id: string;
  sid: string;
}

/**
 * A browser cannot send a header with a WebSocket request, so a ticket in the URL stands for the session, once. It is
 * encrypted and contains its owner, so creating one needs neither cache nor database. Use is recorded in Postgres,
 * which a listener needs anyway: with an unreliable cache a ticket could be used twice.
 */
export function newTicket(secret: Pick<Secret, "seal">, { id, sid }: TicketOwner): string {
  const text = JSON.stringify({ id, sid, expires: Date.now() + TTL_MS });
  return secret.seal(PURPOSE, new TextEncoder().encode(text), "")
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The owner of the ticket; undefined if it was used, has expired or is invalid. */
export async function useTicket(
  { secret, sql }: { secret: Pick<Secret, "open">; sql: Sql },
  ticket: string,
): Promise<TicketOwner | undefined> {
  const sealed = bytesOf(ticket);
  const owner = sealed && opened(secret, sealed);
  if (!owner || owner.expires <= Date.now()) return undefined;
  // Hash the bytes, as base64 has several spellings of them.
  const hash = createHash("sha256").update(sealed).digest("base64url");
  return await useTicketOnce(sql, hash, new Date(owner.expires)) ? owner : undefined;
}

function bytesOf(ticket: string): Uint8Array | undefined {
  if (ticket.length > MAX_LENGTH) return undefined;
  try {
    return Uint8Array.fromBase64(ticket, { alphabet: "base64url" });
  } catch {
    return undefined;
  }
}

function opened(secret: Pick<Secret, "open">, sealed: Uint8Array): z.output<typeof Ticket> | undefined {
  try {
    return Ticket.parse(JSON.parse(new TextDecoder().decode(secret.open(PURPOSE, sealed, ""))));
  } catch {
    // Forged, changed, or encrypted with another secret.
    return undefined;
  }
}
