import { hashPassword } from "../security/passwords.ts";
import type { Sql } from "../db/sql.ts";
import { PASSWORD } from "./harness.ts";

type Kind = "user" | "page" | "post";

/** The id of the n-th person, page or post, as SQL for an integer expression. */
export const idOf = (kind: Kind, n: string) => `('${beginning(kind)}' || lpad(to_hex((${n})::bigint), 12, '0'))::uuid`;

export function uuidOf(kind: Kind, n: number): string {
  return beginning(kind) + n.toString(16).padStart(12, "0");
}

function beginning(kind: Kind): string {
  return `0000000${{ user: 1, page: 2, post: 3 }[kind]}-0000-7000-8000-`;
}

export interface World {
  people: number;
  posts: number;
  /** Pages followed by each of the first `readers`. */
  follows: number;
  readers: number;
}

/**
 * Fills the database by SQL: people with one page each, posts spread over pages and time, and readers who follow many
 * pages.
 */
export async function fillWorld(sql: Sql, { people, posts, follows, readers }: World): Promise<void> {
  const hash = await hashPassword(PASSWORD);
  await sql.execute(
    `insert into users (id, login, password_hash, first_name, last_name, email, email_verified_at, page_id, created_at)
    select ${idOf("user", "n")}, 'bench' || n, $2, 'Bench', 'Person', 'bench' || n || '@example.org', now(), ${
      idOf("page", "n")
    }, now()
    from generate_series(1, $1::int) n`,
    [people, hash],
  );
  // Emails about the posts of benchmarks would be sent during measurements.
  await sql.execute("insert into notification_settings (user_id, letters) select id, 'never' from users");
  await sql.execute(
    `insert into handles (handle, user_id) select 'bench' || n, ${
      idOf("user", "n")
    } from generate_series(1, $1::int) n`,
    [people],
  );
  await sql.execute(
    `insert into pages (id, owner_id, is_personal, uuid, name, created_at)
    select ${idOf("page", "n")}, ${
      idOf("user", "n")
    }, true, 'bench' || n, 'Bench Person', now() from generate_series(1, $1::int) n`,
    [people],
  );
  await sql.execute(
    `insert into follows (page_id, user_id, state, created_at)
    select ${idOf("page", `(1 + (r * 131 + f * 17) % $1::int)`)}, ${idOf("user", "r")}, 'following', now()
    from generate_series(1, $2::int) r cross join generate_series(1, $3::int) f
    where (1 +  (r * 131 + f * 17) % $1::int) <> r
    on conflict do nothing`,
    [people, readers, follows],
  );
  await sql.execute(
    `insert into posts (id, page_id, text, published_at, created_at, updated_at)
    select ${idOf("post", "n")}, ${
      idOf("page", `(1 + (n::bigint * 7919 % $2::int)::int)`)
    }, 'Post number ' || n || ', some words that a person might have written about their day',
      t, t, t
    from (select n, date_trunc('milliseconds', now() - ($1::int - n) * interval '30 seconds') as t
      from generate_series(1, $1::int) n) s`,
    [posts, people],
  );
  await sql.execute(
    `update pages p set post_count = n.posts
    from (select page_id, count(*) as posts from posts group by page_id) n where n.page_id = p.id`,
  );
  await sql.execute(
    `update pages p set follower_count = n.f
    from (select page_id, count(*) as f from follows group by page_id) n where n.page_id = p.id`,
  );
}
