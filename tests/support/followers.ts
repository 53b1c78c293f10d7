import type { Sql } from "../../db/sql.ts";

/**
 * Followers with proven addresses, made at once: for crowds that nobody has the time to register. Their addresses, in
 * order.
 */
export async function makeFollowers(sql: Sql, page: string, count: number, word = "fan"): Promise<string[]> {
  await sql.execute(
    `with made as (
      insert into users (id, login, password_hash, first_name, last_name, email, email_verified_at, page_id, created_at)
      select gen_random_uuid(), $2 || i, '', 'Fan', 'Fanning', $2 || i || '@followers.test', now(), gen_random_uuid(),
        now() - interval '1 day'
      from generate_series(1, $3::int) i returning id, created_at),
    following as (
      insert into follows (page_id, user_id, state, created_at) select $1, id, 'following', created_at from made)
    update pages set follower_count = follower_count + $3 where id = $1`,
    [page, word, count],
  );
  return Array.from({ length: count }, (_, i) => `${word}${i + 1}@followers.test`);
}
