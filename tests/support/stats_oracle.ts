/** The expected statistics, counted from the tables. */
import type { Sql } from "../../db/sql.ts";
import type { Numbers } from "../../db/page_numbers.ts";
import { until } from "./wait.ts";

/** The numbers of every existing page. */
export async function countedPages(sql: Sql): Promise<Map<string, Numbers>> {
  const rows = await sql.query<Numbers & { id: string }>(
    `select g.id,
      (select count(*) from posts p where p.page_id = g.id and p.state = 'ready') as posts,
      (select count(*) from follows f where f.page_id = g.id and f.state = 'following') as followers,
      (select count(*) from follows f where f.page_id = g.id and f.state = 'requested') as requests,
      (select count(*) from posts p join likes l on l.post_id = p.id where p.page_id = g.id) as likes,
      (select count(*) from posts p join posts r on r.reply_to = p.id
        where p.page_id = g.id and r.state = 'ready') as replies
    from pages g where g.deleted_at is null order by g.id`,
  );
  return new Map(rows.map(({ id, ...numbers }) => [id, numbers]));
}

/** Waits until the statistics have counted every event. */
export async function statsSettled(sql: Sql): Promise<void> {
  await until("the statistics have counted all events", async () => {
    const [row] = await sql.query<{ settled: boolean }>(
      `select exists (select from stats.position p join sequencer s on s.epoch = p.epoch and s.seq = p.seq)
        and not exists (select from like_signals) as settled`,
    ).catch(() => []);
    return row?.settled;
  }, { everyMs: 40 });
}

/** All rows of the service, for a comparison. */
export async function keptDays(sql: Sql): Promise<unknown[]> {
  return await sql.query(
    `select d.* from stats.days d join pages g on g.id = d.page_id and g.deleted_at is null
    where (posts, followers, requests, likes, replies) <> (0, 0, 0, 0, 0) order by d.page_id, d.day`,
  );
}
