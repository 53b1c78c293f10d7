import {
  inTurns,
  pgbench,
  pgbenchRow,
  repeating,
  type Row,
  signIn,
  startInstallation,
  WARM_UP_S,
  wrk,
} from "./harness.ts";
import { fillWorld, idOf, uuidOf } from "./world.ts";

const LIKERS = 200;

/** The usual transaction: the like, and the counter of the one popular post. */
const REFERENCE = `\\set u random(1, 100000000)
begin;
insert into bench_likes (post_id, user_id) values (${idOf("post", "1")}, ${idOf("user", ":u")}) on conflict do nothing;
update bench_posts set like_count = like_count + 1 where id = ${idOf("post", "1")};
end;
`;

/** (c) Likes and unlikes of one popular post by many people. */
export async function benchHotLikes({ seconds }: { seconds: number }): Promise<Row[]> {
  await using installation = await startInstallation(async (sql) => {
    await fillWorld(sql, { people: 1_000, posts: 20_000, follows: 20, readers: LIKERS });
    await sql.script(
      `create table bench_likes (
        post_id uuid not null, user_id uuid not null, created_at timestamptz not null default now(),
        primary key (post_id, user_id));
      create index on bench_likes (user_id, created_at desc, post_id desc);
      create table bench_posts as select * from posts; alter table bench_posts add primary key (id)`,
    );
  });
  const tokens = await signIn(installation.url, LIKERS);
  // All people like, then all unlike, and so on, so that each request has an effect.
  const path = `/api/v1/posts/${uuidOf("post", 1)}/like`;
  const script = repeating(
    (["PUT", "DELETE"] as const).flatMap((method) => tokens.map((token) => ({ method, path, token }))),
  );
  const rows: Row[] = [];
  await wrk(installation.url, { connections: 64, seconds: WARM_UP_S, script });
  for (const clients of [16, 64]) {
    const [loads, references] = await inTurns(
      seconds,
      (seconds) => wrk(installation.url, { connections: clients, seconds, script }),
      (seconds) => pgbench(installation.databaseUrl, { clients, seconds, script: REFERENCE }),
    );
    const [row] = await installation.sql.query<{ counted: number; kept: number }>(
      `select (select count(*) from likes where post_id = p.id) as counted, p.like_count as kept
      from posts p where p.id = ${idOf("post", "1")}`,
    );
    if (row?.counted !== row?.kept) {
      throw new Error(`The counter says ${row?.kept}, and there are ${row?.counted} likes`);
    }
    rows.push(
      pgbenchRow(`likes on one hot post, ${clients} clients`, { loads, references, target: 3, unit: "likes/s" }),
    );
  }
  return rows;
}
