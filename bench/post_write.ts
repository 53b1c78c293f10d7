import { pgbench, ratioRow, type Row, say, signIn, startInstallation, wrk } from "./harness.ts";
import { fillWorld, idOf } from "./world.ts";

const AUTHORS = 64;

const REFERENCE = `\\set p random(1, ${AUTHORS})
insert into posts (id, page_id, text, published_at, created_at, updated_at)
values (gen_random_uuid(), ${
  idOf("page", ":p")
}, 'A post of the usual length, as a person might write it about their day', now(), now(), now());
`;

/** (b) Text posts, each acknowledged only when it is durable and in every feed, against the bare INSERT of the same row. */
export async function benchPostWrite({ seconds }: { seconds: number }): Promise<Row[]> {
  await using installation = await startInstallation((sql) =>
    fillWorld(sql, { people: 1_000, posts: 20_000, follows: 20, readers: AUTHORS })
  );
  const tokens = await signIn(installation.url, AUTHORS);
  const script = `local tokens = { ${tokens.map((token) => `"Bearer ${token}"`).join(", ")} }
local pages = { ${
    Array.from({ length: AUTHORS }, (_, i) =>
      `"/api/v1/pages/00000002-0000-7000-8000-${(i + 1).toString(16).padStart(12, "0")}/posts"`).join(", ")
  } }
local body = '{"text":"A post of the usual length, as a person might write it about their day"}'
local n = 0
request = function()
  n = n % #tokens + 1
  return wrk.format("POST", pages[n],
    { ["Authorization"] = tokens[n], ["Content-Type"] = "application/json" }, body)
end`;
  const rows: Row[] = [];
  for (const clients of [16, 64]) {
    await wrk(installation.url, { connections: clients, seconds: 2, script });
    const [before] = await installation.sql.query<{ n: number }>("select count(*) as n from posts");
    const ours = await wrk(installation.url, { connections: clients, seconds, script });
    const [after] = await installation.sql.query<{ n: number }>("select count(*) as n from posts");
    const reference = await pgbench(installation.databaseUrl, { clients, seconds, script: REFERENCE });
    say(
      `  ${after!.n - before!.n} posts stored for ${Math.round(ours.perSecond * seconds)} acknowledged; ours p99 ${
        ours.p99Ms.toFixed(1)
      } ms`,
    );
    rows.push(ratioRow(`POST a text post, ${clients} clients`, ours.perSecond, reference, 0.5, "posts/s"));
  }
  return rows;
}
