import { createHash, randomBytes } from "node:crypto";
import { type Cache, CacheUnavailable } from "../db/cache.ts";
import { AppError } from "../errors.ts";

/** Milliseconds a ticket waits for its one use. */
const TTL_MS = 30_000;

/** A browser cannot send a header with a WebSocket; a ticket in the URL stands for the session, once. */
export async function newTicket(cache: Cache, { id, sid }: { id: string; sid: string }): Promise<string> {
  const ticket = randomBytes(24).toString("base64url");
  await reachable(cache.set(keyOf(ticket), JSON.stringify({ id, sid }), TTL_MS));
  return ticket;
}

/** Whose ticket it was; undefined when it was used, is too old or never was. */
export async function useTicket(cache: Cache, ticket: string): Promise<{ id: string; sid: string } | undefined> {
  const value = await reachable(cache.take(keyOf(ticket)));
  return value === null ? undefined : JSON.parse(value);
}

/** Only a hash is kept, so that what leaks from the cache opens nothing. */
function keyOf(ticket: string): string {
  return `ticket:${createHash("sha256").update(ticket).digest("base64url")}`;
}

async function reachable<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof CacheUnavailable) {
      throw new AppError("overloaded", "Tickets are out of reach", { retryAfter: 1 });
    }
    throw error;
  }
}
