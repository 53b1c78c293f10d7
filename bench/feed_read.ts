import { pgbench, ratioRow, repeating, type Row, say, signIn, startInstallation, wrk } from "./harness.ts";
import { fillWorld, idOf } from "./world.ts";

const READERS = 64;

/**
 * The best single statement we know for the first page of a feed with all post fields: reads the newest posts of each
 * followed page by index and merges them. It omits nothing that our query needs and has nothing it does not.
 */
const REFERENCE = `\\set r random(1, ${READERS})
with newest as materialized (
  select n.id, n.published_at from (
    select page_id as id from follows where user_id = ${idOf("user", ":r")} and state = 'following'
    union all select id from pages where owner_id = ${idOf("user", ":r")} and deleted_at is null) w
  join pages g on g.id = w.id and g.deleted_at is null and coalesce(g.blocked_until, '-infinity') <= now()
  cross join lateral (
    select p.id, p.published_at from posts p where p.page_id = w.id and p.state = 'ready'
    order by p.published_at desc, p.id desc limit 21) n
  order by n.published_at desc, n.id desc limit 21)
select p.id, p.page_id, g.uuid, g.name, u.id, u.login, u.first_name, u.last_name, u.page_id,
  p.text, p.tagged, p.place, p.reply_to, p.like_count, p.reply_count,
  exists (select from likes l where l.post_id = p.id and l.user_id = ${idOf("user", ":r")}) as liked,
  p.state, p.published_at, p.created_at, p.updated_at
from newest n join posts p on p.id = n.id join pages g on g.id = p.page_id join users u on u.id = g.owner_id
order by p.published_at desc, p.id desc;
`;

/**
 * The alternative: walks all posts by time and keeps those of followed pages. Which one is faster depends on the data.
 */
const SCAN = `\\set r random(1, ${READERS})
select p.id, p.page_id, g.uuid, g.name, u.id, u.login, u.first_name, u.last_name, u.page_id,
  p.text, p.tagged, p.place, p.reply_to, p.like_count, p.reply_count,
  exists (select from likes l where l.post_id = p.id and l.user_id = ${idOf("user", ":r")}) as liked,
  p.state, p.published_at, p.created_at, p.updated_at
from posts p join pages g on g.id = p.page_id join users u on u.id = g.owner_id
where p.state = 'ready' and p.page_id = any(array(
  select page_id from follows where user_id = ${idOf("user", ":r")} and state = 'following'
  union all select id from pages where owner_id = ${idOf("user", ":r")} and deleted_at is null))
order by p.published_at desc, p.id desc limit 21;
`;

/** (a) The first page of a feed that follows 200 pages, among a million posts. */
export async function benchFeedRead({ posts, seconds }: { posts: number; seconds: number }): Promise<Row[]> {
  await using installation = await startInstallation(async (sql) => {
    await fillWorld(sql, { people: 5_000, posts, follows: 200, readers: READERS });
    // For the reference only: our queries do not use it.
    await sql.execute("create index bench_time on posts (published_at desc, id desc) where state = 'ready'");
  });
  const tokens = await signIn(installation.url, READERS);
  const script = repeating(tokens.map((token) => ({ method: "GET", path: "/api/v1/feed", token })));
  const rows: Row[] = [];
  for (const clients of [16, 64]) {
    await wrk(installation.url, { connections: clients, seconds: 2, script });
    const ours = await wrk(installation.url, { connections: clients, seconds, script });
    const merged = await pgbench(installation.databaseUrl, { clients, seconds, script: REFERENCE });
    const scanned = await pgbench(installation.databaseUrl, { clients, seconds, script: SCAN });
    say(
      `  merge by page ${merged.toFixed(0)}/s, scan by time ${scanned.toFixed(0)}/s; ours p99 ${
        ours.p99Ms.toFixed(1)
      } ms`,
    );
    rows.push(
      ratioRow(`GET /feed first page, ${clients} clients`, ours.perSecond, Math.max(merged, scanned), 3, "req/s"),
    );
  }
  return rows;
}
