/** `Sql` through `pg`, with a pool of connections. */
import { setImmediate } from "node:timers";
import { CheckedReads } from "./checked_reads.ts";
import type { Observations } from "../lib/metrics/bound_histogram.ts";
import { boundHistogram, counter, secondsSince } from "../lib/metrics/registry.ts";
import { inSpan, isTraced, TRACING } from "../lib/tracing.ts";
import { within } from "../lib/sleep.ts";
import pg from "./pg.ts";
import { kindOfState, type Param, type Sql, SqlError } from "./sql.ts";
import { encodeParam, keptName, parserOf } from "./values.ts";

export interface PostgresOptions {
  /** Maximum of connections. A statement without a free one for 3 s is `unavailable`. */
  max: number;
  applicationName?: string;
  /** Tables are read by index wherever there is one. */
  byIndex?: boolean;
  /** For tests: `query` cannot write (`checked_reads.ts`). Doubles the connections. */
  checkReads?: boolean;
  /** The server cancels statements that run longer (`fault`, 57014). */
  statementTimeoutMs?: number;
  /**
   * A statement without an answer for this long is `lost`, and all connections are made again: a network that drops
   * packets silently reports nothing for minutes or hours. No limit by default. `script` has none.
   */
  answerWithinMs?: number;
}

const CONNECT_TIMEOUT_MS = 3000;
const CLOSE_MS = 2_000;
/** `answerWithinMs` of what answers callers or shows live events. Shorter than a call to an actor waits. */
export const ANSWER_MS = 8_000;
/** `answerWithinMs` of background work. */
export const WORK_ANSWER_MS = 60_000;
/** The output formats that `values.ts` parses. JIT is off, as it takes 50 ms for statements of one. */
export const SETTINGS = "-c timezone=UTC -c datestyle=ISO -c bytea_output=hex -c jit=off";
/**
 * A connection keeps the plan of a statement. A plan from when a table was nearly empty scans it sequentially, and
 * still does when it has many rows, until the table is analyzed again, which can take minutes.
 */
const BY_INDEX = " -c enable_seqscan=off";
const READ_ONLY = " -c default_transaction_read_only=on";
/** How often a statement runs that changed nothing and may succeed the next time. */
const ATTEMPTS = 4;

const WAITED = boundHistogram<"pool">(
  "sql_connection_wait_seconds",
  "Time until a statement had a connection, by the pool's name in Postgres",
);
/** The error of `pg` for `query_timeout`. */
const NO_ANSWER = "Query read timeout";

const TIMEOUTS = counter<"pool">(
  "sql_timeouts_total",
  "Statements that got no answer, so that all connections were made again, by the pool's name in Postgres",
  ["pool"],
);
const RETRIES = counter("sql_retries_total", "Statements that ran again after a deadlock or with a new plan");

/** Connects lazily: an unreachable server shows at the first statement. */
export function connectPostgres(url: string, options: PostgresOptions): Sql {
  const sql = new PostgresSql(url, options);
  return options.checkReads ? new CheckedReads(new PostgresSql(url, options, READ_ONLY), sql) : sql;
}

class PostgresSql implements Sql {
  private pool: pg.Pool;
  private readonly waited: Observations;
  private kept: Link | undefined;
  /** `pg` knows it, its types do not. */
  private readonly limit: { query_timeout?: number };

  constructor(private readonly url: string, private readonly options: PostgresOptions, private readonly more = "") {
    this.waited = WAITED.bind({ pool: options.applicationName ?? "rookery" });
    this.limit = options.answerWithinMs === undefined ? {} : { query_timeout: options.answerWithinMs };
    this.pool = this.open();
  }

  private open(): pg.Pool {
    const { url, options, more } = this;
    const pool = new pg.Pool({
      connectionString: url,
      max: options.max,
      application_name: options.applicationName ?? "rookery",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      // No timer at every release; a connection stays open until it breaks.
      idleTimeoutMillis: 0,
      keepAlive: true,
      options: `${SETTINGS}${options.byIndex ? BY_INDEX : ""}${more}`,
      types: { getTypeParser: parserOf } as pg.CustomTypesConfig,
      ...(options.statementTimeoutMs ? { statement_timeout: options.statementTimeoutMs } : {}),
    });
    // Without these two a server that goes away ends the process. A running statement gets the error by its callback.
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    return pool;
  }

  /** Connections that are idle have probably failed as well, and each would cost another wait. */
  private reopen(failed: pg.Pool): void {
    if (this.pool !== failed || failed.ending) return;
    TIMEOUTS.inc({ pool: this.options.applicationName ?? "rookery" });
    this.pool = this.open();
    this.kept?.release();
    this.kept = undefined;
    void failed.end().catch(() => {});
  }

  query<Row>(text: string, params: readonly Param[] = [], name?: string): Promise<Row[]> {
    return this.submit(text, params, name);
  }

  execute<Row>(text: string, params: readonly Param[] = [], name?: string): Promise<Row[]> {
    return this.submit(text, params, name);
  }

  private submit<Row>(text: string, params: readonly Param[], name: string | undefined): Promise<Row[]> {
    if (!TRACING || !isTraced()) return this.start(text, params, name);
    const attributes = { "db.system.name": "postgresql", ...(name === undefined ? {} : { "db.query.summary": name }) };
    return inSpan(name ?? "statement", attributes, () => this.start<Row>(text, params, name), "client");
  }

  private start<Row>(text: string, params: readonly Param[], name: string | undefined): Promise<Row[]> {
    return new Promise((resolve, reject) =>
      this.run({ text, params, name: keptName(name, params) }, 1, resolve as Resolve, reject)
    );
  }

  // Callbacks, as each promise of `pg` would cost another turn of the microtask queue.
  private run(statement: Statement, attempt: number, done: Resolve, fail: Fail): void {
    const kept = this.kept;
    if (kept) {
      this.kept = undefined;
      return this.send(kept, statement, attempt, done, fail);
    }
    const start = performance.now();
    const { pool } = this;
    pool.connect((refused, client, release) => {
      this.waited.observe(secondsSince(start));
      if (refused || !client) fail(unavailable(refused));
      else this.send({ client, pool, release }, statement, attempt, done, fail);
    });
  }

  private send(link: Link, statement: Statement, attempt: number, done: Resolve, fail: Fail): void {
    const { text, params, name } = statement;
    let values: unknown[];
    try {
      values = params.map(encodeParam);
    } catch (error) {
      link.release();
      return fail(new SqlError(messageOf(error), "fault"));
    }
    const query = { text, values, ...(name ? { name } : {}), ...this.limit };
    link.client.query(query, (error: unknown, result: pg.QueryResult) => {
      if (!error) {
        this.keep(link);
        return done(result.rows);
      }
      const mapped = failure(error);
      // Such a prepared statement stays broken on its connection. It was refused before it ran.
      const stale = name !== undefined && (mapped.code === "0A000" || mapped.code === "26000");
      link.release(stale || mapped.kind === "lost");
      if (messageOf(error) === NO_ANSWER) this.reopen(link.pool);
      // A deadlock: this statement was rolled back, and the other can continue.
      const deadlocked = mapped.code === "40P01";
      if (!(stale || deadlocked) || attempt === ATTEMPTS) return fail(mapped);
      RETRIES.inc();
      this.run(statement, attempt + 1, done, fail);
    });
  }

  /**
   * Until this turn of the event loop ends, a further statement reuses the connection directly; the pool would need a
   * tick and a timer.
   */
  private keep(link: Link): void {
    const { pool } = this;
    if (this.kept || link.pool !== pool || pool.ending || pool.waitingCount > 0) return link.release();
    this.kept = link;
    setImmediate(() => {
      if (this.kept !== link) return;
      this.kept = undefined;
      link.release();
    });
  }

  async script(text: string): Promise<void> {
    const client = await this.pool.connect().catch((error) => {
      throw unavailable(error);
    });
    let broken = false;
    try {
      // The line break ends a comment in the last line.
      await client.query(`begin;\n${text}\n;commit`);
    } catch (error) {
      await client.query("rollback").catch(() => broken = true);
      throw failure(error);
    } finally {
      client.release(broken);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Not for connections that are dead without an error.
    if (!this.pool.ending) await within(CLOSE_MS, this.pool.end());
  }
}

interface Statement {
  text: string;
  params: readonly Param[];
  name: string | undefined;
}
/** A connection taken out of the pool. */
interface Link {
  client: pg.PoolClient;
  pool: pg.Pool;
  release: (broken?: boolean) => void;
}
type Resolve = (rows: unknown[]) => void;
type Fail = (error: SqlError) => void;

function unavailable(error: unknown): SqlError {
  return new SqlError(messageOf(error), "unavailable", codeOf(error));
}

/** The error of a statement that had a connection. */
function failure(error: unknown): SqlError {
  const message = messageOf(error);
  if (error instanceof pg.DatabaseError) return new SqlError(message, kindOf(error), error.code, error.constraint);
  // Errors before anything was sent, or in reading the response.
  if (message.startsWith("Prepared statements must be unique") || isProgramError(error)) {
    return new SqlError(message, "fault");
  }
  if (message.startsWith("Client has encountered a connection error")) return unavailable(error);
  return new SqlError(message, "lost", codeOf(error));
}

function kindOf(error: pg.DatabaseError): SqlError["kind"] {
  const kind = kindOfState(error.code);
  const ended = error.severity === "FATAL" || error.severity === "PANIC";
  return ended && kind !== "unavailable" ? "lost" : kind;
}

function isProgramError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof SyntaxError || error instanceof RangeError;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function messageOf(error: unknown): string {
  // A connection refused at several addresses is one error without a message.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
