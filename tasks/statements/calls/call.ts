import type { Sql } from "../../../db/sql.ts";

/**
 * A call of a query function. Text and plan depend on the types of the arguments and on which are given, not on their
 * values.
 */
export type Call = (sql: Sql) => Promise<unknown>;

export const ID = "00000000-0000-7000-8000-000000000001";
export const AT = "2026-01-31T12:00:00.000Z";
export const EMAIL = "person@example.org";
/** The position of a second page: its plan may differ from that of the first. */
export const AFTER = { at: AT, published_at: AT, created_at: AT, id: ID };
export const CLAIM = { id: ID, kind: "kind", attempts: 1 };
