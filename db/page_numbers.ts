/** The numbers of a page. */
export const NUMBERS = ["posts", "followers", "requests", "likes", "replies"] as const;
export type Numbers = Record<typeof NUMBERS[number], number>;

/** The changes of a page's numbers on a day. */
export interface PageDay extends Numbers {
  page_id: string;
  /** `2026-01-31`, in UTC. */
  day: string;
}

export const DAY_COLUMNS = `page_id, day, ${NUMBERS.join(", ")}`;

/**
 * CTEs that add the changes in the events of `batch` (seq, kind, page_id, data, at) to a table of days. An event counts
 * on the day of its time. Deleting a page deletes all its days.
 */
export function folding(table: string): string {
  const sums = NUMBERS.map((name) => `coalesce(sum((b.data->'counts'->>'${name}')::int), 0) as ${name}`).join(", ");
  const added = NUMBERS.map((name) => `${name} = d.${name} + excluded.${name}`).join(", ");
  return `deleted_pages as materialized (
  select distinct page_id from batch where kind = 'page.hidden' and data->>'reason' = 'deleted'
    and page_id is not null),
changes as materialized (
  select b.page_id, (b.at at time zone 'UTC')::date as day, ${sums}
  from batch b where b.data ? 'counts' and b.page_id is not null
    and b.page_id not in (select page_id from deleted_pages)
  group by 1, 2),
deleted_days as (delete from ${table} d using deleted_pages e where d.page_id = e.page_id),
saved_days as (
  insert into ${table} as d (${DAY_COLUMNS}) select ${DAY_COLUMNS} from changes order by page_id, day
  on conflict (page_id, day) do update set ${added})`;
}
