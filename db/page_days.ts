import { DAY_COLUMNS, folding, NUMBERS, type PageDay } from "./page_numbers.ts";
import type { Reader, Writer } from "./sql.ts";

/** How long the days stay unchanged for a copy. */
const HOLD = "interval '10 minutes'";

const CONSUMER = "name = 'page_days' and (held_until is null or held_until < now())";

const FOLD = `with consumer as materialized (select seq from consumers where ${CONSUMER} for update skip locked),
batch as materialized (
  select e.* from consumer c cross join lateral (select * from events where seq > c.seq order by seq limit $1) e),
${folding("page_days")},
new_position as (update consumers set seq = (select max(seq) from batch)
  where name = 'page_days' and exists (select from batch))
select count(*) as seen from batch`;

/**
 * Adds the changes in events to the numbers of the pages' days, up to a maximum of events, so that the events can be
 * deleted. One statement adds and moves the position, so that each event counts once. Returns the number of events.
 */
export async function foldEvents(sql: Writer, most: number): Promise<number> {
  const [row] = await sql.execute<{ seen: number }>(FOLD, [most], "page_days.fold");
  return row?.seen ?? 0;
}

/** The position of the days, which stay unchanged until `releaseDays`, or for ten minutes. */
export async function holdDays(sql: Writer): Promise<number> {
  const [row] = await sql.execute<{ seq: number }>(
    `update consumers set held_until = now() + ${HOLD} where name = 'page_days' returning seq`,
    [],
    "page_days.hold",
  );
  if (!row) throw new Error("The position of the page days is missing: migrate the database");
  return row.seq;
}

/** The position again: a different one means that the days were changed. */
export async function releaseDays(sql: Writer): Promise<number | undefined> {
  const [row] = await sql.execute<{ seq: number }>(
    "update consumers set held_until = null where name = 'page_days' returning seq",
    [],
    "page_days.release",
  );
  return row?.seq;
}

/** A batch of all days, in order. */
export async function daysAfter(
  sql: Reader,
  after: Pick<PageDay, "page_id" | "day"> | undefined,
  most: number,
): Promise<PageDay[]> {
  return await sql.query<PageDay>(
    `select page_id, day::text as day, ${NUMBERS.join(", ")} from page_days
    where $1::uuid is null or (page_id, day) > ($1::uuid, $2::date) order by page_id, page_days.day limit $3`,
    [after?.page_id ?? null, after?.day ?? null, most],
    "page_days.after",
  );
}

/** The numbers of a page by the tables, which are authoritative. */
const COUNTED = `
  select n.page_id, ${NUMBERS.map((name) => `sum(n.${name})::int as ${name}`).join(", ")} from (
    select page_id, 1 as posts, 0 as followers, 0 as requests, 0 as likes, 0 as replies from posts where state = 'ready'
    union all
    select page_id, 0, (state = 'following')::int, (state = 'requested')::int, 0, 0 from follows
    union all
    select p.page_id, 0, 0, 0, 1, 0 from likes l join posts p on p.id = l.post_id
    union all
    select o.page_id, 0, 0, 0, 0, 1 from posts r join posts o on o.id = r.reply_to where r.state = 'ready') n
  join pages g on g.id = n.page_id and g.deleted_at is null group by n.page_id`;

/** The numbers by the days and the events after them, including likes without an event so far. */
const COUNTED_IN_EVENTS = `
  select n.page_id, ${NUMBERS.map((name) => `sum(n.${name})::int as ${name}`).join(", ")} from (
    select page_id, ${NUMBERS.join(", ")} from page_days
    union all
    select e.page_id, ${
  NUMBERS.map((name) => `coalesce((e.data->'counts'->>'${name}')::int, 0)`).join(", ")
} from events e
    where e.seq > (select seq from consumers where name = 'page_days') and e.data ? 'counts'
    union all
    select page_id, 0, 0, 0, change, 0 from like_signals) n
  join pages g on g.id = n.page_id and g.deleted_at is null group by n.page_id`;

/**
 * Compares the days with the tables in one snapshot, and corrects differences today: somebody wrote without the
 * program, or with an older version. Deletes the days of deleted pages. Returns the corrected pages.
 */
export async function recountDays(sql: Writer): Promise<string[]> {
  const differences = NUMBERS.map((name) => `coalesce(c.${name}, 0) - coalesce(t.${name}, 0) as ${name}`).join(", ");
  const rows = await sql.execute<{ page_id: string }>(
    `with consumer as materialized (select seq from consumers where name = 'page_days' for update),
    counted_days as materialized (${COUNTED}), event_days as materialized (${COUNTED_IN_EVENTS}),
    wrong_days as materialized (
      select * from (select coalesce(c.page_id, t.page_id) as page_id, (now() at time zone 'UTC')::date as day,
        ${differences}
        from counted_days c full join event_days t on t.page_id = c.page_id) d
      where (${NUMBERS.join(", ")}) is distinct from (${
      NUMBERS.map(() => "0").join(", ")
    }) and exists (select from consumer)),
    deleted_days as (delete from page_days d
      where not exists (select from pages g where g.id = d.page_id and g.deleted_at is null))
    insert into page_days as d (${DAY_COLUMNS}) select ${DAY_COLUMNS} from wrong_days
    on conflict (page_id, day) do update set ${
      NUMBERS.map((name) => `${name} = d.${name} + excluded.${name}`).join(", ")
    }
    returning page_id`,
  );
  return rows.map(({ page_id }) => page_id);
}
