/** The emails of a load: one per post of the emailed page and follower. */
import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import type { MadePost } from "./failover_posts.ts";
import type { SmtpTrap } from "./smtp_trap.ts";
import { until } from "./wait.ts";

/** Waits until no email is due. Pauses between attempts end at once. */
async function finished(sql: Sql): Promise<void> {
  await until("no email is due", async () => {
    await sql.execute(
      "update jobs set run_at = now() where state = 'waiting' and run_at > now() and kind = 'post.letter'",
    );
    const [row] = await sql.query<{ n: number }>(
      `select (select count(*) from jobs where kind = 'post.letter' and state in ('waiting', 'running'))
        + (select count(*) from events
          where kind = 'post.created' and seq > (select seq from consumers where name = 'notifications')) as n`,
    );
    return row!.n === 0;
  }, { timeoutMs: 120_000, everyMs: 100 });
}

/**
 * Each of these posts went to each follower once, and to nobody else. A database that ends between an email and its
 * record leaves the delivery "unknown"; returns how many.
 */
export async function holdEmails(
  sql: Sql,
  { taken }: SmtpTrap,
  posts: readonly MadePost[],
  followers: readonly string[],
): Promise<number> {
  await finished(sql);
  const ids = posts.map(({ id }) => id);
  const rows = await sql.query<{ post: string; email: string; state: string; message: string }>(
    `select d.event_id as post, u.email, d.state, '<' || d.event_id || '.' || d.user_id || '@rookery.test>' as message
    from deliveries d join users u on u.id = d.user_id where d.event_id = any($1)`,
    [ids],
  );
  const expected = ids.flatMap((id) => followers.map((email) => `${id} ${email}`));
  assert.deepEqual(rows.map(({ post, email }) => `${post} ${email}`).sort(), expected.sort(), "the deliveries");
  const received = new Map<string, number>();
  const isOurs = new Set(ids);
  for (const { to, messageId } of taken) {
    if (!isOurs.has(messageId.slice(1, messageId.indexOf(".")))) continue;
    const key = `${messageId} ${to}`;
    received.set(key, (received.get(key) ?? 0) + 1);
  }
  const wrong = rows.flatMap((row) => {
    const key = `${row.message} ${row.email}`;
    const n = received.get(key) ?? 0;
    received.delete(key);
    return row.state === "sent" && n === 1 || row.state === "unknown" && n <= 1 ? [] : [{ ...row, received: n }];
  });
  assert.deepEqual({ wrong, others: [...received.keys()] }, { wrong: [], others: [] });
  return rows.filter(({ state }) => state === "unknown").length;
}
