/** `Sql` through `pg`, with a pool of connections. */
import { setImmediate } from "node:timers";
import { CheckedReads } from "./checked_reads.ts";
import type { Observations } from "../lib/metrics/bound_histogram.ts";
import { boundHistogram, counter, secondsSince } from "../lib/metrics/registry.ts";
import { inSpan, isTraced, TRACING } from "../lib/tracing.ts";
import { sleep, within } from "../lib/sleep.ts";
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
   * A network that drops packets silently reports nothing for minutes or hours. So after this time without an answer
   * the server is asked over another connection whether it still works on the statement. If not, or if it does not
   * answer, the statement is `lost`, and all connections are made again. Never by default, and never for `script`.
   */
  answerWithinMs?: number;
}

const CONNECT_TIMEOUT_MS = 3000;
const CLOSE_MS = 2_000;
/** The usual `answerWithinMs`. */
export const ANSWER_MS = 8_000;
/** How often the age of statements is looked at within `answerWithinMs`. A process that stands still does not count. */
const LOOKS = 8;
/** How long an answer may take that the server has sent, when the news that it has finished was faster. */
const LAST_ANSWER_MS = 100;
const TOO_MANY_CONNECTIONS = "53300";
/**
 * The output formats that `values.ts` parses. JIT is off, as it takes 50 ms for statements of one. The server looks for
 * connections whose node is gone after a minute of silence, not after two hours: they count against `max_connections`.
 */
export const SETTINGS = "-c timezone=UTC -c datestyle=ISO -c bytea_output=hex -c jit=off " +
  "-c tcp_keepalives_idle=60 -c tcp_keepalives_interval=10";
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
const TIMEOUTS = counter<"pool">(
  "sql_timeouts_total",
  "Lost statements, after which all connections of the pool were made again, by its name in Postgres",
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
  /** Statements without an answer, oldest first, if there is a time limit. */
  private readonly sent = new Set<Sent>();
  private watch: ReturnType<typeof setInterval> | undefined;
  private looks = 0;
  private asking = false;

  constructor(private readonly url: string, private readonly options: PostgresOptions, private readonly more = "") {
    this.waited = WAITED.bind({ pool: options.applicationName ?? "rookery" });
    this.pool = this.open();
  }

  private open(): pg.Pool {
    const { options } = this;
    const pool = new pg.Pool({
      ...this.connection(),
      max: options.max,
      // No timer at every release; a connection stays open until it breaks.
      idleTimeoutMillis: 0,
      ...(options.statementTimeoutMs ? { statement_timeout: options.statementTimeoutMs } : {}),
    });
    // Without these two a server that goes away ends the process. A running statement gets the error by its callback.
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    return pool;
  }

  private connection(): pg.ClientConfig {
    const { url, options, more } = this;
    return {
      connectionString: url,
      application_name: options.applicationName ?? "rookery",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      options: `${SETTINGS}${options.byIndex ? BY_INDEX : ""}${more}`,
      types: { getTypeParser: parserOf } as pg.CustomTypesConfig,
    };
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
      // It has been replaced, and serves nobody any more.
      if (refused && pool !== this.pool) this.run(statement, attempt, done, fail);
      else if (refused || !client) fail(unavailable(refused));
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
    const sent = this.options.answerWithinMs === undefined ? undefined : this.watched(link, fail);
    link.client.query({ text, values, ...(name ? { name } : {}) }, (error: unknown, result: pg.QueryResult) => {
      // It is lost, and its connection is closed.
      if (sent && !this.sent.delete(sent)) return;
      if (!error) {
        this.keep(link);
        return done(result.rows);
      }
      const mapped = failure(error);
      // Such a prepared statement stays broken on its connection. It was refused before it ran.
      const stale = name !== undefined && (mapped.code === "0A000" || mapped.code === "26000");
      link.release(stale || mapped.kind === "lost");
      // A deadlock: this statement was rolled back, and the other can continue.
      const deadlocked = mapped.code === "40P01";
      if (!(stale || deadlocked) || attempt === ATTEMPTS) return fail(mapped);
      RETRIES.inc();
      this.run(statement, attempt + 1, done, fail);
    });
  }

  private watched(link: Link, fail: Fail): Sent {
    const sent = { link, at: this.looks, fail };
    this.sent.add(sent);
    // One timer for all: a timer for each would cost a microsecond.
    this.watch ??= setInterval(() => this.look(), this.options.answerWithinMs! / LOOKS);
    return sent;
  }

  private look(): void {
    this.looks++;
    if (this.sent.size === 0) {
      clearInterval(this.watch);
      this.watch = undefined;
    }
    const late: Sent[] = [];
    for (const sent of this.sent) {
      if (this.looks - sent.at <= LOOKS) break;
      late.push(sent);
    }
    if (late.length > 0 && !this.asking) void this.ask(late);
  }

  /** Statements may take long, or wait for locks. What the server does not work on has no answer. */
  private async ask(late: readonly Sent[]): Promise<void> {
    this.asking = true;
    const working = await this.working(late.map(({ link }) => pidOf(link)));
    await sleep(LAST_ANSWER_MS);
    this.asking = false;
    for (const sent of late) {
      if (!this.sent.delete(sent)) continue;
      if (working.includes(pidOf(sent.link))) {
        sent.at = this.looks;
        this.sent.add(sent);
        continue;
      }
      sent.link.release(true);
      this.reopen(sent.link.pool);
      sent.fail(new SqlError("The server gave no answer", "lost"));
    }
  }

  /** Those of the server's processes that work on a statement. None if it does not answer. */
  private async working(pids: readonly number[]): Promise<readonly number[]> {
    // `pg` knows `query_timeout`, its types do not.
    const client = new pg.Client({ ...this.connection(), query_timeout: CONNECT_TIMEOUT_MS } as pg.ClientConfig);
    client.on("error", () => {});
    try {
      await client.connect();
      // One that waits for a client waits for what this process has sent, or should have read.
      const text = `select pid from pg_stat_activity
        where pid = any($1::int[]) and state = 'active' and wait_event_type is distinct from 'Client'`;
      return (await client.query<{ pid: number }>(text, [pids])).rows.map(({ pid }) => pid);
    } catch (error) {
      return codeOf(error) === TOO_MANY_CONNECTIONS ? pids : [];
    } finally {
      void client.end().catch(() => {});
    }
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
    clearInterval(this.watch);
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
/** A statement without an answer. `at`: the number of looks before it was sent. */
interface Sent {
  link: Link;
  at: number;
  fail: Fail;
}
type Resolve = (rows: unknown[]) => void;
type Fail = (error: SqlError) => void;

/** The process of the server, as it said when the connection was made. `pg` knows it, its types do not. */
function pidOf({ client }: Link): number {
  return (client as pg.PoolClient & { processID: number }).processID;
}

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
