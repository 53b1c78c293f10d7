/** A database whose tables look large to the planner. */
import { fillWorld, idOf } from "../../bench/world.ts";
import type { Sql } from "../../db/sql.ts";

/** Tables that stay small: with one row, or one for each node, partition or signing key. */
const SMALL_TABLES = new Set([
  "consumers",
  "installation",
  "migrations",
  "moderation_chain",
  "nodes",
  "partitions",
  "sequencer",
  "signing_keys",
  "stats.migrations",
  "stats.position",
]);
const PEOPLE = 500;
const POSTS = 2_000;
const ROWS = 2_000;
/** Each row counts as this many for the planner. */
const SCALE = 1_000;

const PAGE = idOf("page", `1 + n % ${PEOPLE}`);
const USER = idOf("user", `1 + n % ${PEOPLE}`);
const OTHER = idOf("user", `1 + n * 7 % ${PEOPLE}`);
const POST = idOf("post", `1 + n % ${POSTS}`);
/** Rows have increasing times. */
const AT = `now() - (${ROWS} - n) * interval '1 hour'`;

/** The columns of row `n` of each table. States that are rare, as of running jobs, are rare here. */
const TABLES: Readonly<Record<string, string>> = {
  bounces: `'bounced' || n || '@example.org', 'no such mailbox', ${AT}, '5.1.1', 1, ${AT} + interval '7 days'`,
  deliveries: `${POST}, ${OTHER}, case n % 100 when 0 then 'digest' else 'sent' end,
    case n % 100 when 0 then ${POST} end, ${AT}`,
  devices: `${USER}, 'mark' || n, ${AT}`,
  events: `n, case n % 5 when 0 then 'follow.changed' when 1 then 'post.likes' when 2 then 'page.updated'
      when 3 then 'replies.changed' else 'post.created' end, ${PAGE}, ${POST}, case n % 5 when 0 then ${OTHER} end,
    '{"counts": {"posts": 1}}', ${AT}`,
  jobs: `gen_random_uuid(), case n % 3 when 0 then 'user.expire' when 1 then 'post.letter' else 'photo.crop' end, '{}',
    case n % 500 when 0 then 'running' when 1 then 'dead' else 'waiting' end, 0, now() + n * interval '1 minute',
    case n % 500 when 0 then now() end, null, ${USER}, ${AT}, false`,
  kv_spaces: `${idOf("user", "n")}, ${idOf("user", "n")}, 1`,
  kv: `${USER}, 'key' || n, '1', n, case n % 50 when 0 then ${AT} end`,
  letters:
    `gen_random_uuid(), 'message' || n, 'rookery@example.org', 'bench' || n || '@example.org', 's', 't', null, ${AT},
    ${USER}`,
  like_signals: `${POST}, ${PAGE}, 1, '{}', 1`,
  likes: `${POST}, ${OTHER}, ${AT}`,
  moderation_log:
    `n, ${AT}, 'account.role', ${USER}, 'login', 'admin', 'account', ${OTHER}, 'login', null, null, null, '', ''`,
  notifications:
    `gen_random_uuid(), ${USER}, case n % 4 when 0 then 'follower' when 1 then 'like' else 'reply' end, ${PAGE},
    case n % 4 when 0 then null else ${POST} end, ${POST}, ${OTHER}, array[${OTHER}], ${AT}, n`,
  old_handles: `'bench' || n, ${PAGE}, ${AT}`,
  page_days: `${PAGE}, date '2026-01-01' + n, 1, 1, 1, 1, 1`,
  photos: `gen_random_uuid(), 'key' || n, ${POST}, null, null, 0, 'name', null,
    case n % 500 when 0 then 'failed' when 1 then 'processing' else 'ready' end, null,
    case n % 500 when 0 then 'staged' || n when 1 then 'staged' || n end, 'jpeg', 1080, '{320}', null, ${AT}`,
  receipts: `gen_random_uuid(), ${USER}::text, 'key' || n, 'mac', 'done', ${AT}, '{}', 200, null, '{}', ${AT}`,
  reports: `gen_random_uuid(), ${USER}, 'page', ${PAGE}, 'name', ${OTHER}, 'reason',
    case n % 100 when 0 then 'open' else 'closed' end, case n % 100 when 0 then null else ${USER} end,
    case n % 100 when 0 then null else 'dismissed' end, null, ${AT}, ${AT}`,
  sessions: `gen_random_uuid(), ${idOf("user", "n")}, 0, ${AT}, 'kid', ${AT}, ${AT} + interval '60 days', null, null
   `,
  unowned_files: `'file' || n, now() + n * interval '1 minute', false`,
  used_tickets: `'ticket' || n, now() + n * interval '1 second'`,
  vk_tokens: `${idOf("user", "n")}, gen_random_uuid(), 'user', '\\x00', ${AT}`,
  "stats.building": `gen_random_uuid(), now(), ${PAGE}, date '2026-01-01' + n, 1, 1, 1, 1, 1`,
  "stats.days": `${PAGE}, date '2026-01-01' + n, 1, 1, 1, 1, 1`,
};

/** Fills and analyses all large tables. The planner estimates rows by `pg_class.reltuples`, which is then scaled. */
export async function fillLargeTables(sql: Sql): Promise<void> {
  await fillWorld(sql, { people: PEOPLE, posts: POSTS, follows: 10, readers: 200 });
  await sql.execute(`update posts set reply_to = ${idOf("post", "1")} where id > ${idOf("post", String(POSTS - 100))}`);
  await sql.execute(`update posts set state = 'failed' where id < ${idOf("post", "20")}`);
  await sql.execute(`update users set role = 'moderator' where id = ${idOf("user", "1")}`);
  await sql.execute(
    `update users set pending_email = login || '@example.com', mailbox_mark = login where id < ${idOf("user", "20")}`,
  );
  const tables = [...(await largeTables(sql)).keys()];
  // An analysis in the background would bring the real numbers back.
  await sql.script(tables.map((name) => `alter table ${name} set (autovacuum_enabled = false);`).join("\n"));
  const inserts = Object.entries(TABLES).map(([table, columns]) =>
    `insert into ${table} select ${columns} from generate_series(1, ${ROWS}) n on conflict do nothing;`
  );
  // Without triggers: the tables that they write are filled above.
  await sql.script(`set local session_replication_role = replica;\n${inserts.join("\n")}`);
  await sql.execute("vacuum (analyze)");
  await sql.execute(
    `with large as (select to_regclass(name)::oid as id from unnest($1::text[]) g (name))
    update pg_class c set reltuples = c.reltuples * ${SCALE} where c.reltuples > 0 and (
      c.oid in (select id from large)
      or c.oid in (select indexrelid from pg_index where indrelid in (select id from large)))`,
    [tables],
  );
}

/** The tables that grow, with the number of rows that the planner assumes. */
export async function largeTables(sql: Sql): Promise<Map<string, number>> {
  const rows = await sql.query<{ name: string; rows: number }>(
    `select case nspname when 'public' then '' else nspname || '.' end || relname as name, reltuples::int as rows
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where relkind = 'r' and nspname in ('public', 'stats')`,
  );
  return new Map(rows.filter(({ name }) => !SMALL_TABLES.has(name)).map(({ name, rows }) => [name, rows]));
}
