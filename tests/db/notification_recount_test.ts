/** A page that is hidden or shown again changes unread counts in limited statements. */
import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import { MAX_RECOUNTED } from "../../jobs/recounts.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();

Deno.test("Any number of people is notified of a hidden page in limited statements, each once", async () => {
  const { sql } = app.ctx;
  const owner = await app.person();
  const page = await app.page(owner);
  const count = 2 * MAX_RECOUNTED + 200;
  await sql.execute(
    `insert into notifications (id, user_id, kind, page_id, about, who, actors, at, position)
    select gen_random_uuid(), gen_random_uuid(), 'accepted', $1, $1, $2, array[$2::uuid], now(), n
    from generate_series(1, $3) n`,
    [page.id, owner.id, count],
  );
  // One person has read the list up to here.
  await sql.execute(
    `update notifications set user_id = $2 where page_id = $1 and position = 7`,
    [page.id, owner.id],
  );
  await sql.execute(
    `insert into notification_settings (user_id, read_position) values ($1, 7)
    on conflict (user_id) do update set read_position = 7`,
    [owner.id],
  );
  await app.ok("DELETE", `/pages/${page.id}`, { token: owner.token });
  const notified = async () =>
    await sql.query<{ n: number; people: number }>(
      `select count(*)::int as n, count(distinct user_id)::int as people from events e
      where kind = 'notifications.read' and exists (
        select from notifications n where n.user_id = e.user_id and n.page_id = $1) group by at`,
      [page.id],
    );
  await until("everyone is notified", async () => {
    const jobs = await sql.query("select from jobs where kind = 'notification.recount'");
    const rows = await notified();
    return jobs.length === 0 && rows.reduce((sum, { n }) => sum + n, 0) >= count - 1 ? true : undefined;
  });
  const rows = await notified();
  assert.ok(rows.every(({ n }) => n <= MAX_RECOUNTED), JSON.stringify(rows));
  assert.deepEqual(rows.map(({ n }) => n), rows.map(({ people }) => people));
  assert.equal(rows.reduce((sum, { n }) => sum + n, 0), count - 1);
});

Deno.test("A block of an account recounts the notifications of its actions for everyone concerned", async () => {
  const [admin, ann, bob] = await Promise.all([app.admin(), app.person(), app.person()]);
  const post = await app.post(ann);
  await app.follow(bob, ann.page_id);
  await app.ok("PUT", `/posts/${post.id}/like`, { token: bob.token });
  const unread = async () => (await app.ok("GET", "/notifications", { token: ann.token })).unread as number;
  await until("both notifications", async () => await unread() === 2);
  await using listener = await app.listen(ann.token);
  const counts = (n: number) =>
    listener.next(({ type, data }) => type === "notifications.read" && data.unread_count === n);
  await app.ok("POST", `/users/${bob.id}/block`, { token: admin.token, body: { reason: "spam" } });
  await counts(0);
  await app.ok("DELETE", `/users/${bob.id}/block`, { token: admin.token });
  await counts(2);
});
