import type { Sql } from "../db/sql.ts";
import {
  inTurns,
  pgbench,
  pgbenchRow,
  repeating,
  type Row,
  say,
  signIn,
  startInstallation,
  WARM_UP_S,
  wrk,
} from "./harness.ts";
import { fillWorld, idOf, uuidOf } from "./world.ts";

const AUTHORS = 64;

const REFERENCE = `\\set p random(1, ${AUTHORS})
insert into posts (id, page_id, text, published_at, created_at, updated_at)
values (gen_random_uuid(), ${
  idOf("page", ":p")
}, 'A post of the usual length, as a person might write it about their day', now(), now(), now());
`;

/**
 * (b) Text posts, each acknowledged when it is durable and in every feed, compared with the bare INSERT of the same
 * row.
 */
export async function benchPostWrite({ seconds }: { seconds: number }): Promise<Row[]> {
  await using installation = await startInstallation((sql) =>
    fillWorld(sql, { people: 1_000, posts: 20_000, follows: 20, readers: AUTHORS })
  );
  const tokens = await signIn(installation.url, AUTHORS);
  const json = JSON.stringify({ text: "A post of the usual length, as a person might write it about their day" });
  const script = repeating(
    tokens.map((token, i) => ({ method: "POST", path: `/api/v1/pages/${uuidOf("page", i + 1)}/posts`, token, json })),
  );
  const rows: Row[] = [];
  await wrk(installation.url, { connections: 64, seconds: WARM_UP_S, script });
  for (const clients of [16, 64]) {
    let [acknowledged, stored] = [0, 0];
    const [loads, references] = await inTurns(seconds, async (seconds) => {
      const before = await count(installation.sql);
      const load = await wrk(installation.url, { connections: clients, seconds, script });
      acknowledged += load.perSecond * seconds;
      stored += await count(installation.sql) - before;
      return load;
    }, (seconds) => pgbench(installation.databaseUrl, { clients, seconds, script: REFERENCE }));
    rows.push(pgbenchRow(`POST a text post, ${clients} clients`, { loads, references, target: 0.5, unit: "posts/s" }));
    say(`  ${stored} posts stored for ${Math.round(acknowledged)} acknowledged`);
  }
  return rows;
}

async function count(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ n: number }>("select count(*) as n from posts");
  return row!.n;
}
