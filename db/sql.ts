/**
 * The interface to Postgres, for any server (`postgres.ts`; `tests/conformance/sql_suite.ts` is its contract). Values:
 * `int2/4/8` → number, `numeric` → string, `timestamptz` → RFC 3339 in UTC with milliseconds
 * (`2026-01-31T12:00:00.000Z`), `json/jsonb` → parsed, `uuid`/`text` → string, arrays of these → arrays, `bytea` →
 * Uint8Array. Parameters: string, number, boolean, null, Date, Uint8Array, arrays of these; JSON is passed as text.
 */
export type Param =
  | string
  | number
  | boolean
  | null
  | Date
  | Uint8Array
  | readonly (string | number | boolean | null)[];

/** For code that only reads. The driver of the tests runs `query` in read-only transactions (`checked_reads.ts`). */
export interface Reader {
  /**
   * Runs one statement. `name` makes it a prepared statement, kept per connection; one name always has the same text. A
   * statement with a list parameter is planned for that list each time: a plan from when a table was nearly empty
   * compares each row with each item, which takes seconds once both are many. Throws `SqlError`.
   */
  query<Row = Record<string, unknown>>(text: string, params?: readonly Param[], name?: string): Promise<Row[]>;
}

/** For writes outside a turn, such as jobs and receipts. Commits of actors write pages and accounts. */
export interface Writer {
  /** Like `query`, for a statement that writes or takes row locks. */
  execute<Row = Record<string, unknown>>(text: string, params?: readonly Param[], name?: string): Promise<Row[]>;
}

export interface Sql extends Reader, Writer, AsyncDisposable {
  /** Runs several statements, all or nothing. For migrations and tests. */
  script(text: string): Promise<void>;
}

/** Resolves if the database answers. */
export async function ping(sql: Reader): Promise<void> {
  await sql.query("select 1 as one", [], "ready");
}

/** A failed statement. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  constructor(
    message: string,
    /**
     * `constraint`: the statement violated a constraint and changed nothing; `unavailable`: no connection, nothing was
     * sent; `lost`: the connection broke while it ran, so the outcome is unknown; `full`: the database is out of disk
     * space, and nothing was changed; `fault`: anything else.
     */
    readonly kind: "constraint" | "unavailable" | "lost" | "full" | "fault",
    /** SQLSTATE, if the server returned one. */
    readonly code?: string,
    readonly constraint?: string,
  ) {
    super(message);
  }
}

/** The kind of an SQLSTATE that the server returned. */
export function kindOfState(code: string | undefined): SqlError["kind"] {
  if (code?.startsWith("23")) return "constraint";
  if (code === "57P03" || code === "53300") return "unavailable";
  return code === "53100" ? "full" : "fault";
}
