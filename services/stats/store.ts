import type { SequencedEvent } from "../../db/event.ts";
import { migrate, type MigrationSet } from "../../db/migrate.ts";
import type { Sql } from "../../db/sql.ts";
import { DAY_COLUMNS, folding, NUMBERS, type Numbers, type PageDay } from "../../db/page_numbers.ts";

/** The tables of the service, with a lock of their own. */
export const STATS: MigrationSet = {
  folder: new URL("./migrations/", import.meta.url),
  table: "stats.migrations",
  lock: 7_274_932,
};
/** Data of a crashed rebuild is deleted by the next one. */
const LEFT_BEHIND = "interval '1 hour'";

/** The position of the numbers: the last event and its history. */
export interface Position {
  epoch: string;
  seq: number;
}

/** The changes of a page: those of each requested day with changes, and the sums before and after. */
export interface Changes {
  before: Numbers;
  days: Map<string, Numbers>;
  after: Numbers;
}

const APPLY = `with new_position as (
  update stats.position set seq = $3 where epoch = $1::uuid and seq = $2 returning seq),
batch as materialized (
  select e.* from jsonb_to_recordset($4::jsonb) as e(seq bigint, kind text, page_id uuid, data jsonb, at timestamptz)
  where exists (select from new_position)),
${folding("stats.days")}
select seq from new_position`;

/** With the ledger in the same database, events need not be transferred. */
const APPLY_LEDGER = `with old_position as materialized (
  select seq from stats.position
  -- Events that the ledger has deleted must not be skipped.
  where epoch = $1::uuid and seq = $2 and exists (select from public.events where seq = $2 + 1) for update),
batch as materialized (
  select e.* from old_position p cross join lateral (
    select seq, kind, page_id, data, at from public.events where seq > p.seq order by seq limit $3) e),
${folding("stats.days")},
new_position as (update stats.position set seq = (select max(seq) from batch) where exists (select from batch))
select count(*)::int as seen, max(seq) as seq from batch`;

const DAY_RECORD = `page_id uuid, day date, ${NUMBERS.map((name) => `${name} int`).join(", ")}`;

/** The tables of the service, in their own schema: in the main database or in another one. */
export class StatsStore {
  /** `besideLedger`: whether the tables are in the main database. */
  constructor(private readonly sql: Sql, readonly besideLedger: boolean) {}

  async migrate(): Promise<void> {
    await this.sql.script(`select pg_advisory_xact_lock(${STATS.lock}); create schema if not exists stats`);
    await migrate(this.sql, STATS);
  }

  /** Undefined if the numbers have to be rebuilt. */
  async position(): Promise<Position | undefined> {
    const [row] = await this.sql.query<Position>("select epoch, seq from stats.position", [], "stats.position");
    return row;
  }

  /**
   * Applies the events after a position, all or none, and moves it. False if the numbers have another position by now,
   * as when a second process was faster: then nothing changed.
   */
  async apply({ epoch, seq }: Position, events: readonly SequencedEvent[]): Promise<boolean> {
    // Without a name, so that it is planned for the number of events.
    const rows = await this.sql.execute(APPLY, [epoch, seq, events.at(-1)!.seq, JSON.stringify(events)]);
    return rows.length > 0;
  }

  /** Applies the events of the ledger after a position, up to a maximum. Returns their number and the new position. */
  async applyLedger({ epoch, seq }: Position, most: number): Promise<{ seen: number; at: Position }> {
    const [row] = await this.sql.execute<{ seen: number; seq: number | null }>(
      APPLY_LEDGER,
      [epoch, seq, most],
      "stats.apply_ledger",
    );
    return { seen: row?.seen ?? 0, at: { epoch, seq: row?.seq ?? seq } };
  }

  /** Stores some days of a rebuild. */
  async prepare(build: string, days: readonly PageDay[]): Promise<void> {
    await this.sql.execute(
      `insert into stats.building (build, ${DAY_COLUMNS})
      select $1::uuid, ${DAY_COLUMNS} from jsonb_to_recordset($2::jsonb) as r(${DAY_RECORD})`,
      [build, JSON.stringify(days)],
      "stats.prepare",
    );
  }

  /**
   * Replaces all numbers by a rebuild. With `instead`, only if they are still at that position (`"nowhere"`: still
   * missing); otherwise somebody has rebuilt them meanwhile, and this rebuild is discarded.
   */
  async replace(build: string, { epoch, seq }: Position, instead?: Position | "nowhere"): Promise<void> {
    const others = instead === undefined
      ? "false"
      : instead === "nowhere"
      ? "exists (select from stats.position)"
      : `not exists (select from stats.position where epoch = '${instead.epoch}' and seq = ${instead.seq})`;
    // A script has no parameters; only our ids and numbers are inserted.
    await this.sql.script(`do $$ begin
      lock table stats.position;
      if not (${others}) then
        delete from stats.days;
        insert into stats.days (${DAY_COLUMNS}) select ${DAY_COLUMNS} from stats.building where build = '${build}';
        insert into stats.position (epoch, seq) values ('${epoch}', ${seq})
          on conflict (one) do update set epoch = excluded.epoch, seq = excluded.seq;
      end if;
      delete from stats.building where build = '${build}' or begun_at < now() - ${LEFT_BEHIND};
    end $$`);
  }

  async changes(pageId: string, from: string, to: string): Promise<Changes> {
    const rows = await this.sql.query<Numbers & { part: string }>(
      `select case when day < $2::date then 'before' when day > $3::date then 'after' else day::text end as part,
        ${NUMBERS.map((name) => `sum(${name})::int as ${name}`).join(", ")}
      from stats.days where page_id = $1 group by 1`,
      [pageId, from, to],
      "stats.changes",
    );
    const days = new Map(rows.map(({ part, ...numbers }) => [part, numbers]));
    const sum = (part: string) => days.get(part) ?? nothing();
    return { before: sum("before"), days, after: sum("after") };
  }
}

export function nothing(): Numbers {
  return { posts: 0, followers: 0, requests: 0, likes: 0, replies: 0 };
}
