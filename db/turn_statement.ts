import { recording } from "./moderation_log.ts";
import type { ProblemCode } from "../lib/errors.ts";
import type { EventKind } from "./event.ts";

/**
 * One SQL statement for any number of turns. It checks the partition epoch of each turn and writes everything of a turn
 * or nothing. Built by `defineCommit`. Used only by the host, so that no write exists outside a turn, and by the
 * operator's task.
 */
export interface Commit<Row extends object, Result> {
  readonly name: string;
  readonly text: string;
  /** The same for turns of a request with an Idempotency-Key: the result goes into its receipt. */
  readonly receipted: { readonly name: string; readonly text: string } | undefined;
  /** Violated unique constraints that are reported to the caller. */
  readonly violations: Readonly<Record<string, ProblemCode>>;
  /** Only for the types. */
  readonly row?: Row;
  readonly result?: Result;
}

interface Definition {
  /** `json_to_recordset` columns of the row, e.g. `post_id uuid, text text`. */
  columns: string;
  /** CTEs over `turns` (the rows with a valid epoch). */
  body: string;
  /** Entries of the moderation log, built by `record` from those CTEs. */
  records?: string;
  /** The events, built by `eventRow` from those CTEs. */
  events?: string;
  /** The CTE, built by `publishing`, of the posts that enter feeds. */
  publishes?: string;
  /** Yields `turn, result`. A turn without a row counts as fenced. */
  select: string;
  /** SQL over `a.result`: whether the turn changed nothing, so that the request may use its receipt again. */
  refused?: string;
  violations?: Record<string, ProblemCode>;
}

export function defineCommit<Row extends object, Result>(name: string, definition: Definition): Commit<Row, Result> {
  const { columns, body, records, events, publishes, select, refused, violations = {} } = definition;
  const writers = writersOf(body);
  // `for share` waits for a concurrent increment of the epoch, and blocks it; then the epoch is compared again.
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
      events === undefined
        ? ""
        : `, ${eventCtes(events, records === undefined ? writers : [...writers, "log_entries"], publishes)}`
    }
select a.turn, a.result, ${
      events === undefined
        ? "null as seq, null"
        : `(select seq from event_numbers) as seq, case when row_number() over () = 1 then ${EVENTS_JSON}::text end`
    } as events
from answers a`;
  const receipted = refused === undefined
    ? undefined
    : { name: `${name}.receipted`, text: textWith(receipting(refused)) };
  return { name, text: textWith(""), receipted, violations };
}

/** Stores the result in the turn's receipt, unless it was a refusal. */
function receipting(refused: string): string {
  return `, saved_receipts as (
  update receipts r set result = a.result from turns t join answers a on a.turn = t.turn
  where r.id = t.receipt and not (${refused}))`;
}

/**
 * A query for events of one kind. Columns are SQL. `at` defaults to that of `from`. `rank` orders within a statement.
 */
export function eventRow(
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
  return `select ${rank} as rank, '${kind}' as kind, ${page} as page_id, ${post} as post_id, ${user} as user_id,
    ${data} as data, ${at} as at from ${from}`;
}

/**
 * The CTEs that number and write the events of a query. They run after every other write of the statement, so that the
 * sequencer's row is the last lock: statements cannot deadlock, and the row is locked as briefly as possible.
 */
export function eventCtes(events: string, writers: readonly string[] = [], publishes?: string): string {
  const clock = publishes === undefined
    ? ""
    : `, published_at = greatest(published_at, (select max(published_at) from ${publishes}))`;
  const after = writers.map((writer) => `(select count(*) from ${writer}) >= 0`).join(" and ") || "true";
  return `new_events as materialized (select * from (${events}) t where ${after}),
event_count as materialized (select count(*) as n from new_events),
event_numbers as (update sequencer set seq = seq + (select n from event_count)${clock}
  where (select n from event_count) > 0 returning seq),
saved_events as (
  insert into events (seq, kind, page_id, post_id, user_id, data, at)
  select (select seq from event_numbers) - (select n
    from event_count) + row_number() over (order by rank), kind, page_id,
    post_id, user_id, data, at
  from new_events where (select seq from event_numbers) is not null
  returning seq, kind, page_id, post_id, user_id, data, at)`;
}

/**
 * The CTEs that set the time of publication of the posts `from` a CTE, in the order of `rank`: `published_at` of the
 * CTE `name`. They lock the sequencer's row, and so come after every other lock: those of the CTEs `after`.
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
export const EVENTS_JSON = "(select json_agg(e order by e.seq) from saved_events e)";

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

/** Every write returns something, so that other CTEs can wait for it. */
function returning(body: string): string {
  return ctesOf(body).map(({ text }) =>
    WRITES.test(text) && !/\breturning\b/.test(text) ? text.replace(/\)$/, " returning 1)") : text
  ).join(",\n");
}
