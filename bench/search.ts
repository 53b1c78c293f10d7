import { migrate } from "../db/migrate.ts";
import { connectPostgres } from "../db/postgres.ts";
import { search } from "../db/search/search.ts";
import type { Sql } from "../db/sql.ts";
import { Random } from "../tasks/demo/random.ts";
import { FIRST_NAMES, LAST_NAMES } from "../tasks/demo/words.ts";
import { startPostgres } from "../tests/support/servers.ts";
import { type Row, say } from "./harness.ts";
import { ENGLISH, RUSSIAN } from "./search_words.ts";
import { fillSearchWorld } from "./search_world.ts";

const PEOPLE = 100_000;
const OF_EACH_KIND = 40;
const VIEWER = "00000001-0000-7000-8000-000000000001";
const LIMIT = 21;

/**
 * The plain alternative: finds the same characters with `ILIKE`, ordered by followers, both sections in one statement.
 */
const REFERENCE = `(select id, follower_count from pages
  where deleted_at is null
    and (uuid ilike $1 or name ilike $1 or description ilike $1 or array_to_string(tags, ' ') ilike $1)
  order by follower_count desc, id limit ${LIMIT})
union all
(select u.id, p.follower_count from users u join pages p on p.id = u.page_id
  where u.login ilike $1 or u.first_name || ' ' || u.last_name ilike $1
  order by p.follower_count desc, u.id limit ${LIMIT})`;

/** (g) Sequential searches of all kinds for pages and people at once, compared with plain `ILIKE`. */
export async function benchSearch(): Promise<Row[]> {
  await using postgres = await startPostgres({ settings: { shared_buffers: "1GB", max_wal_size: "4GB" } });
  await using sql = connectPostgres(await postgres.createDatabase(), { max: 1 });
  await migrate(sql);
  await fillSearchWorld(sql, PEOPLE);
  await sql.execute("vacuum analyze");
  const kinds = await searches(sql);
  const ours = (q: string) =>
    search(sql, VIEWER, { q, sections: ["pages", "users"], limit: LIMIT, verifiedOnly: true });
  const reference = (q: string) => sql.query(REFERENCE, [`%${q.replaceAll(/[\\%_]/g, "\\$&")}%`], "bench.ilike");
  const timed = async (asked: string[], run: (q: string) => Promise<unknown>) => {
    const times: Time[] = [];
    for (const q of asked) {
      const processor = await processorMs(sql);
      const start = performance.now();
      await run(q);
      const passed = performance.now() - start;
      times.push({ passed, processor: await processorMs(sql) - processor });
    }
    return times;
  };
  // Warm-up: until generic plans are used and the data is in memory.
  for (const run of [ours, reference]) for (const [, [q]] of kinds) await run(q!);
  const [times, references]: [Time[], Time[]] = [[], []];
  for (const [kind, asked] of kinds) {
    const [each, other] = [await timed(asked, ours), await timed(asked, reference)];
    say(`  ${kind}: ${shown(each)}; ILIKE ${shown(other)}`);
    times.push(...each);
    references.push(...other);
  }
  say(`  all: ${shown(times)}; ILIKE ${shown(references)}`);
  const row = (what: string, of: keyof Time, target: string): Row => {
    const [p95, p95Reference] = [percentile(times, of, 95), percentile(references, of, 95)];
    return {
      what: `a search among ${PEOPLE.toLocaleString("en")} pages and as many accounts, p95 ${what}`,
      ours: `${p95.toFixed(1)} ms`,
      reference: `${p95Reference.toFixed(1)} ms: ILIKE`,
      ratio: `${(p95 / p95Reference).toFixed(2)} ×`,
      target,
    };
  };
  return [row("of the statement", "passed", "≤ 30 ms"), row("of Postgres' processor time", "processor", "–")];
}

/** Queries that people may type. */
async function searches(sql: Sql): Promise<[kind: string, asked: string[]][]> {
  const random = new Random(23);
  const handles = (await sql.query<{ uuid: string }>("select uuid from pages order by md5(uuid) limit 1000")).map((
    { uuid },
  ) => uuid);
  const anyone = () => `${random.pick(FIRST_NAMES)} ${random.pick(LAST_NAMES)}`;
  const common = () => random.skewed(random.chance(0.5) ? ENGLISH : RUSSIAN);
  const rare = () => random.pick(random.chance(0.5) ? ENGLISH : RUSSIAN);
  const misspelled = (word: string) => {
    const at = 1 + random.below(word.length - 2);
    return random.chance(0.5)
      ? word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2)
      : word.slice(0, at) + word.slice(at + 1);
  };
  const kinds: Record<string, () => string> = {
    "whole handles": () => random.pick(handles),
    "one letter": () => random.pick([..."abcdefghijklmnopqrstuvwyzабвгдежзиклмнопрстухчш"]),
    "two letters": () => rare().slice(0, 2),
    "beginnings of handles": () => random.pick(handles).slice(0, 3 + random.below(8)),
    "beginnings of words": () => rare().slice(0, 3 + random.below(3)),
    "words": rare,
    "common words": common,
    "two words": () => `${common()} ${rare()}`,
    "first and last names": anyone,
    "last names": () => random.pick(LAST_NAMES),
    "misspelled words": () => misspelled(rare().padEnd(4, "a")),
    "misspelled names": () => misspelled(anyone()),
  };
  return Object.entries(kinds).map(([kind, next]) => [kind, Array.from({ length: OF_EACH_KIND }, next)]);
}

/** Times of a statement in milliseconds: until its rows arrived, and processor time of its backend. */
interface Time {
  passed: number;
  processor: number;
}

/** Processor time of the single connection's backend so far. */
async function processorMs(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ pid: number }>("select pg_backend_pid() as pid", [], "bench.pid");
  return Number((await Deno.readTextFile(`/proc/${row!.pid}/schedstat`)).split(" ")[0]) / 1e6;
}

function shown(times: Time[]): string {
  const both = (percent: number) =>
    `p${percent} ${percentile(times, "passed", percent).toFixed(1)} (${
      percentile(times, "processor", percent).toFixed(1)
    })`;
  return `${both(50)}, ${both(95)} ms`;
}

function percentile(times: Time[], of: keyof Time, percent: number): number {
  return times.map((time) => time[of]).sort((a, b) => a - b)[Math.ceil(times.length * percent / 100) - 1]!;
}
