/**
 * The door to Postgres, whichever server it is (`postgres.ts`; `tests/conformance/sql_suite.ts` holds its contract).
 *
 * Values: `int2/4/8` → number, `numeric` → string, `timestamptz` → RFC 3339 in UTC with
 * milliseconds (`2026-01-31T12:00:00.000Z`), `json/jsonb` → parsed, `uuid`/`text` → string, arrays of these → arrays,
 * `bytea` → Uint8Array. Parameters: string, number, boolean, null, Date, Uint8Array, arrays of these; JSON is passed as text.
 */
export type Param =
  | string
  | number
  | boolean
  | null
  | Date
  | Uint8Array
  | readonly (string | number | boolean | null)[];

/** What a query module may hold: reading only, by convention of the type. */
export interface Reader {
  /**
   * Runs one statement. `name` makes it a prepared statement, kept per connection; one name always means one text. Where a parameter is
   * a list, the statement is planned for that list each time: a plan kept from the days of a nearly empty table compares each of its
   * rows with each item, which takes seconds once both are many.
   * Throws `SqlError`.
   */
  query<Row = Record<string, unknown>>(text: string, params?: readonly Param[], name?: string): Promise<Row[]>;
}

export interface Sql extends Reader, AsyncDisposable {
  /** Runs several statements, all or nothing. For migrations and tests. */
  script(text: string): Promise<void>;
}

/** Resolves where the database answers. */
export async function ping(sql: Reader): Promise<void> {
  await sql.query("select 1 as one", [], "ready");
}

/** A statement that did not succeed. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  constructor(
    message: string,
    /**
     * `constraint`: the statement broke a rule and changed nothing; `unavailable`: no connection, nothing was sent;
     * `lost`: the connection broke while it ran, so whether it took effect is unknown; `full`: the database has no room, and nothing
     * was changed; `fault`: anything else.
     */
    readonly kind: "constraint" | "unavailable" | "lost" | "full" | "fault",
    /** SQLSTATE, where the server gave one. */
    readonly code?: string,
    readonly constraint?: string,
  ) {
    super(message);
  }
}

/** What an SQLSTATE says of a statement that the server answered. */
export function kindOfState(code: string | undefined): SqlError["kind"] {
  if (code?.startsWith("23")) return "constraint";
  if (code === "57P03" || code === "53300") return "unavailable";
  return code === "53100" ? "full" : "fault";
}
