import type { SequencedEvent } from "../../db/event.ts";
import { migrate, type MigrationSet } from "../../db/migrate.ts";
import type { Sql } from "../../db/sql.ts";
import { DAY_COLUMNS, folding, NUMBERS, type Numbers, type PageDay } from "../../db/page_numbers.ts";

/** Of the service's own tables; the lock is another than that of the main ones. */
export const STATS: MigrationSet = {
  folder: new URL("./migrations/", import.meta.url),
  table: "stats.migrations",
  lock: 7_274_932,
};
/** What a rebuild that died left behind goes with the next one. */
const LEFT_BEHIND = "interval '1 hour'";

/** How far the numbers go: the last event in them, and of which history. */
export interface Position {
  epoch: string;
  seq: number;
}

/** A page's changes: of the days asked for, each that has some; of those before and after, their sums. */
export interface Changes {
  before: Numbers;
  days: Map<string, Numbers>;
  after: Numbers;
}

const APPLY = `with moved as (
  update stats.position set seq = $3 where epoch = $1::uuid and seq = $2 returning seq),
batch as materialized (
  select e.* from jsonb_to_recordset($4::jsonb) as e(seq bigint, kind text, page_id uuid, data jsonb, at timestamptz)
  where exists (select from moved)),
${folding("stats.days")}
select seq from moved`;

/** Where the ledger lies beside the numbers, its events need not travel. */
const APPLY_LEDGER = `with held as materialized (
  select seq from stats.position
  -- What the ledger has forgotten must not be passed over.
  where epoch = $1::uuid and seq = $2 and exists (select from public.events where seq = $2 + 1) for update),
batch as materialized (
  select e.* from held h cross join lateral (
    select seq, kind, page_id, data, at from public.events where seq > h.seq order by seq limit $3) e),
${folding("stats.days")},
moved as (update stats.position set seq = (select max(seq) from batch) where exists (select from batch))
select count(*)::int as seen, max(seq) as seq from batch`;

const DAY_RECORD = `page_id uuid, day date, ${NUMBERS.map((name) => `${name} int`).join(", ")}`;

/** The service's own tables, in a schema of their own: in the main database or in one elsewhere. */
export class StatsStore {
  /** `besideLedger`: whether the tables are in the main database. */
  constructor(private readonly sql: Sql, readonly besideLedger: boolean) {}

  async migrate(): Promise<void> {
    await this.sql.script(`select pg_advisory_xact_lock(${STATS.lock}); create schema if not exists stats`);
    await migrate(this.sql, STATS);
  }

  /** Undefined where the numbers are to be built anew. */
  async position(): Promise<Position | undefined> {
    const [row] = await this.sql.query<Position>("select epoch, seq from stats.position", [], "stats.position");
    return row;
  }

  /**
   * Takes in the events that follow a position, all or none, and moves it. False where the numbers are at another one by now, as
   * when a second process was faster: then nothing changed.
   */
  async apply({ epoch, seq }: Position, events: readonly SequencedEvent[]): Promise<boolean> {
    // Without a name, so that it is planned for as many events as there are.
    const rows = await this.sql.query(APPLY, [epoch, seq, events.at(-1)!.seq, JSON.stringify(events)]);
    return rows.length > 0;
  }

  /** Takes in what the ledger beside has after a position, at most so many events. Tells how many, and where the numbers are now. */
  async applyLedger({ epoch, seq }: Position, most: number): Promise<{ seen: number; at: Position }> {
    const [row] = await this.sql.query<{ seen: number; seq: number | null }>(
      APPLY_LEDGER,
      [epoch, seq, most],
      "stats.apply_ledger",
    );
    return { seen: row?.seen ?? 0, at: { epoch, seq: row?.seq ?? seq } };
  }

  /** Puts aside some days of a build. */
  async prepare(build: string, days: readonly PageDay[]): Promise<void> {
    await this.sql.query(
      `insert into stats.building (build, ${DAY_COLUMNS}) select $1::uuid, ${DAY_COLUMNS} from jsonb_to_recordset($2::jsonb) as r(${DAY_RECORD})`,
      [build, JSON.stringify(days)],
      "stats.prepare",
    );
  }

  /**
   * Puts a build in the place of all that was, at once. With `instead`, only where the numbers are still there (`"nowhere"`: still
   * missing); else somebody has made them anew meanwhile, and the build is thrown away.
   */
  async replace(build: string, { epoch, seq }: Position, instead?: Position | "nowhere"): Promise<void> {
    const others = instead === undefined
      ? "false"
      : instead === "nowhere"
      ? "exists (select from stats.position)"
      : `not exists (select from stats.position where epoch = '${instead.epoch}' and seq = ${instead.seq})`;
    // A script takes no parameters; what is put in are ids and numbers of ours.
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
