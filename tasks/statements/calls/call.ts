import type { Sql } from "../../../db/sql.ts";

/** A call of a query function, with arguments of the right types; what they say matters only where the text depends on it. */
export type Call = (sql: Sql) => Promise<unknown>;

export const ID = "00000000-0000-7000-8000-000000000001";
export const AT = "2026-01-31T12:00:00.000Z";
export const EMAIL = "person@example.org";
/** Where a page of a list goes on: it may be planned otherwise than the first one. */
export const AFTER = { at: AT, published_at: AT, created_at: AT, id: ID };
export const CLAIM = { id: ID, kind: "kind", attempts: 1 };
