import { recording } from "./moderation_log.ts";
import { type Sql, SqlError } from "./sql.ts";
import { keptList } from "./values.ts";
import type { ProblemCode } from "../lib/errors.ts";
import type { EventKind } from "../actors/runtime/protocol.ts";

/**
 * One SQL statement that takes any number of turns, checks each turn's partition epoch and writes everything of a turn or
 * nothing. Built by `defineCommit`; used only by the host, so that no write exists outside a turn, and by the operator's task.
 */
export interface Commit<Row extends object, Result> {
  readonly name: string;
  readonly text: string;
  /** The same, where a turn belongs to a request with an Idempotency-Key: what was answered goes into its receipt. */
  readonly receipted: { readonly name: string; readonly text: string } | undefined;
  /** Broken unique constraints that are a caller's business. */
  readonly violations: Readonly<Record<string, ProblemCode>>;
  /** Only for the types. */
  readonly row?: Row;
  readonly result?: Result;
}

interface Definition {
  /** `json_to_recordset` columns of the row, e.g. `post_id uuid, text text`. */
  columns: string;
  /** CTEs over `turns` (the rows whose epoch holds). */
  body: string;
  /** Entries of the record of moderation, made by `record` out of those CTEs. */
  records?: string;
  /** The events, made by `tell` out of those CTEs. */
  tells?: string;
  /** The CTE, made by `publishing`, of the posts that come into feeds. */
  publishes?: string;
  /** Yields `turn, result`. A turn without a row counts as fenced. */
  select: string;
  /** SQL over `a.result`: whether the turn changed nothing, so that a request's receipt stays open for another try. */
  refused?: string;
  violations?: Record<string, ProblemCode>;
}

export function defineCommit<Row extends object, Result>(name: string, definition: Definition): Commit<Row, Result> {
  const { columns, body, records, tells, publishes, select, refused, violations = {} } = definition;
  const writers = writersOf(body);
  // `for share` waits for whoever raises the epoch, and makes them wait for us; then the epoch is compared again.
  const textWith = (receipts: string) =>
    `with fence as materialized (
  select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.* from json_to_recordset($1::json) as i(turn int, part int, epoch bigint, receipt uuid, ${columns})
  join fence f on f.id = i.part and f.epoch = i.epoch),
${returning(body)},
answers as materialized (${select})
${receipts}
${records === undefined ? "" : `, ${recording(records, writers)}`}
${
      tells === undefined
        ? ""
        : `, ${telling(tells, records === undefined ? writers : [...writers, "recorded"], publishes)}`
    }
select a.turn, a.result, ${
      tells === undefined
        ? "null as seq, null"
        : `(select seq from numbered) as seq, case when row_number() over () = 1 then ${TOLD}::text end`
    } as events
from answers a`;
  const receipted = refused === undefined
    ? undefined
    : { name: `${name}.receipted`, text: textWith(receipting(refused)) };
  return { name, text: textWith(""), receipted, violations };
}

/** What was answered goes into the turn's receipt, unless it was a refusal. */
function receipting(refused: string): string {
  return `, receipted as (
  update receipts r set result = a.result from turns t join answers a on a.turn = t.turn
  where r.id = t.receipt and not (${refused}))`;
}

/** A query for events of one kind. Columns are SQL; without `from`'s own `at` another is named. `rank` orders within a statement. */
export function tell(
  kind: EventKind,
  { page = "null::uuid", post = "null::uuid", user = "null::uuid", data = "null::jsonb", at = "at", rank = 1, from }: {
    page?: string;
    post?: string;
    user?: string;
    data?: string;
    at?: string;
    rank?: number | string;
    from: string;
  },
): string {
  return `select ${rank} as rank, '${kind}' as kind, ${page} as page_id, ${post} as post_id, ${user} as user_id, ${data} as data, ${at} as at from ${from}`;
}

/**
 * The CTEs that number and write the events a query yields. They wait for every other write of the statement, so that the
 * sequencer's row is its last lock: no two statements can then wait for each other, and the row is held as shortly as can be.
 */
export function telling(tells: string, writers: readonly string[] = [], publishes?: string): string {
  const clock = publishes === undefined
    ? ""
    : `, published_at = greatest(published_at, (select max(published_at) from ${publishes}))`;
  const after = writers.map((writer) => `(select count(*) from ${writer}) >= 0`).join(" and ") || "true";
  return `told as materialized (select * from (${tells}) t where ${after}),
tally as materialized (select count(*) as n from told),
numbered as (update sequencer set seq = seq + (select n from tally)${clock} where (select n from tally) > 0 returning seq),
emitted as (
  insert into events (seq, kind, page_id, post_id, user_id, data, at)
  select (select seq from numbered) - (select n from tally) + row_number() over (order by rank), kind, page_id, post_id, user_id, data, at
  from told where (select seq from numbered) is not null
  returning seq, kind, page_id, post_id, user_id, data, at)`;
}

/**
 * The CTEs that give posts `from` a CTE the time of their publishing, in the order of `rank`: `published_at` of the CTE `name`. They take the
 * sequencer's row, and so stand behind every other lock: those of the CTEs `after`.
 */
export function publishing(
  name: string,
  { from, where = "true", rank, after }: { from: string; where?: string; rank: string; after: readonly string[] },
): string {
  const locked = after.map((cte) => ` and (select count(*) from ${cte}) >= 0`).join("");
  return `clock as materialized (
  select s.published_at from sequencer s where (select count(*) from ${from} where ${where}) > 0${locked} for update),
${name} as materialized (
  select f.*, greatest(c.published_at + interval '1 microsecond', (select max(at) from ${from} where ${where}))
    + (row_number() over (order by ${rank}) - 1) * interval '1 microsecond' as published_at
  from (select * from ${from} where ${where}) f cross join clock c)`;
}

/** The written events as one JSON array, or null. */
export const TOLD = "(select json_agg(e order by e.seq) from emitted e)";

interface Cte {
  name: string;
  text: string;
}

/** Splits `a as (…), b as materialized (…)` at its outermost commas. */
function ctesOf(commented: string): Cte[] {
  const body = commented.replaceAll(/--[^\n]*\n/g, "");
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < body.length; i++) {
    if (body[i] === "(") depth++;
    else if (body[i] === ")") depth--;
    else if (body[i] === "," && depth === 0) {
      parts.push(body.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(body.slice(start));
  return parts.map((text) => ({ name: /^\s*(\w+) as/.exec(text)![1]!, text: text.trim() }));
}

const WRITES = /^[^(]*\(\s*(?:update|insert|delete)\b/;

function writersOf(body: string): string[] {
  return ctesOf(body).filter(({ text }) => WRITES.test(text)).map(({ name }) => name);
}

/** Every write returns something, so that it can be waited for. */
function returning(body: string): string {
  return ctesOf(body).map(({ text }) =>
    WRITES.test(text) && !/\breturning\b/.test(text) ? text.replace(/\)$/, " returning 1)") : text
  ).join(",\n");
}

/** The partition was taken by somebody else; nothing was written. */
export class Fenced extends Error {
  override readonly name = "Fenced";
}

export interface Turn {
  partition: number;
  epoch: number;
  receipt?: string;
  row: Record<string, unknown>;
}

export interface Committed {
  result: unknown;
  /** The last event of the statement, if it wrote any. */
  seq: number | null;
}

interface Waiting extends Turn {
  resolve(committed: Committed): void;
  reject(error: unknown): void;
}

interface Lane {
  commit: Commit<object, unknown>;
  waiting: Waiting[];
  inFlight: number;
}

/** How many statements of one kind run at once in a worker, and how many turns share one (`docs/limits.md`). */
const IN_FLIGHT = 1;
const MOST_TURNS = 256;

/**
 * Group commit: turns of the same kind that wait while a statement runs go together in the next one. So the cost of a
 * round trip and of an fsync is shared exactly when there is something to share it with.
 */
export class Committer {
  #lanes = new Map<string, Lane>();
  readonly stats = { commits: 0, statements: 0, ms: 0 };

  /** `onEvents` gets those of each statement, as a JSON array. */
  constructor(private readonly sql: Sql, private readonly onEvents: (events: string) => void) {}

  submit(commit: Commit<object, unknown>, turn: Turn): Promise<Committed> {
    let lane = this.#lanes.get(commit.name);
    if (!lane) this.#lanes.set(commit.name, lane = { commit, waiting: [], inFlight: 0 });
    return new Promise((resolve, reject) => {
      lane.waiting.push({ ...turn, resolve, reject });
      // Not at once: whoever else is ready in this tick shares the statement.
      if (lane.inFlight < IN_FLIGHT && lane.waiting.length === 1) queueMicrotask(() => this.#pump(lane));
    });
  }

  #pump(lane: Lane): void {
    while (lane.waiting.length > 0 && lane.inFlight < IN_FLIGHT) {
      lane.inFlight++;
      void this.#run(lane.commit, lane.waiting.splice(0, MOST_TURNS), () => {
        lane.inFlight--;
        this.#pump(lane);
      });
    }
  }

  /** `ended`: the lane is free. The next statement is on its way before these turns go on: the database need not wait for them. */
  async #run(commit: Commit<object, unknown>, turns: Waiting[], ended: () => void): Promise<void> {
    let answers: Map<number, Committed>;
    try {
      answers = await this.#statement(commit, turns);
    } catch (error) {
      const refused = error instanceof SqlError && ["constraint", "fault"].includes(error.kind);
      if (turns.length === 1 || !refused) {
        ended();
        for (const turn of turns) turn.reject(error);
        return;
      }
      // One turn's broken rule must not cost the others: each gets its own statement, and goes on when that has ended.
      for (const turn of turns) await this.#run(commit, [turn], turn === turns.at(-1) ? ended : () => {});
      return;
    }
    ended();
    for (const [index, turn] of turns.entries()) {
      const answer = answers.get(index);
      if (answer) turn.resolve(answer);
      else turn.reject(new Fenced(`partition ${turn.partition} is not at epoch ${turn.epoch} any more`));
    }
  }

  async #statement(commit: Commit<object, unknown>, turns: Waiting[]): Promise<Map<number, Committed>> {
    const rows = turns.map(({ partition, epoch, receipt, row }, turn) => ({
      ...row,
      turn,
      part: partition,
      epoch,
      receipt,
    }));
    const partitions = [...new Set(turns.map((turn) => turn.partition))];
    this.stats.statements++;
    this.stats.commits += turns.length;
    // Few bring one, and a write that finds nothing to do costs the statement a twentieth of its time.
    const { name, text } = turns.some(({ receipt }) => receipt !== undefined) && commit.receipted || commit;
    const start = performance.now();
    const answers = await this.sql.query<{ turn: number; result: unknown; seq: number | null; events: string | null }>(
      text,
      [JSON.stringify(rows), keptList(partitions)],
      name,
    ).finally(() => this.stats.ms += performance.now() - start);
    // On one of the rows: what the statement as a whole has told.
    const events = answers.find((answer) => answer.events)?.events;
    if (events) this.onEvents(events);
    return new Map(answers.map(({ turn, result, seq }) => [turn, { result, seq }]));
  }
}
