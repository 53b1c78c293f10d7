/**
 * Notifications are looked up one by one, by key. Without care Postgres reads all likes or posts into a hash table for
 * a count of a thousand notifications. It does so while the table fits its memory, so the tables here are of that size.
 */
import assert from "node:assert/strict";
import { fillWorld, idOf, uuidOf } from "../../bench/world.ts";
import type { Param, Sql } from "../../db/sql.ts";
import { allStatements } from "../../tasks/statements/collect.ts";
import { openTestDatabase } from "../support/database.ts";
import { fullScans, plansOf } from "../support/plans.ts";

const PEOPLE = 10;
const POSTS = 20_000;
const READER = uuidOf("user", 1);
/** Notifications of one frame batch. */
const IDS = Array.from({ length: 16 }, (_, i) => uuidOf("post", 8 * (i + 1)));
/** The reads of notifications, with their parameters. */
const READS: Readonly<Record<string, readonly Param[]>> = {
  "notification.list": [READER, null, 50],
  "notification.live": [IDS],
  "notification.unread": [READER],
  "notification.unread_of_all": [[READER]],
};
const GROWN = new Set(["likes", "notifications", "posts"]);

Deno.test("Reading notifications costs the same however many likes and posts there are", async (t) => {
  await using sql = await openTestDatabase({ max: 1 });
  await fillNotifications(sql);
  const texts = new Map((await allStatements()).map(({ name, text }) => [name, text]));

  for (const [name, params] of Object.entries(READS)) {
    await t.step(name, async () => {
      const plans = await plansOf(sql, texts.get(name)!, params);
      const scanned = plans.flatMap((plan) => fullScans(plan, new Set())).filter((table) => GROWN.has(table));
      assert.deepEqual(scanned, [], "it reads the whole table");
    });
  }

  await t.step("Unread ones are counted once for each person", async () => {
    const text = texts.get("notification.live")!;
    const [one, many] = [await blocksRead(sql, text, IDS.slice(0, 1)), await blocksRead(sql, text, IDS)];
    assert.ok(many < one * 2, `${many} blocks for ${IDS.length} notifications, ${one} for one`);
  });
});

/**
 * Every post has a like. Every fourth one replies to an earlier post and tags the reader. Each has one notification,
 * with its own id: for the like, the reply or the tag.
 */
async function fillNotifications(sql: Sql): Promise<void> {
  await fillWorld(sql, { people: PEOPLE, posts: POSTS, follows: 9, readers: PEOPLE });
  const post = idOf("post", "n");
  const liker = idOf("user", `1 + n / 7 % ${PEOPLE}`);
  await sql.script(`set local session_replication_role = replica;
    update posts set reply_to = ${idOf("post", "n - 2")}, tagged = array['${READER}'::uuid]
      from generate_series(4, ${POSTS}, 4) n where id = ${post};
    insert into likes select ${post}, ${liker}, now() from generate_series(1, ${POSTS}) n;
    insert into notifications (id, user_id, kind, page_id, post_id, about, who, actors, at, position)
      select p.id, '${READER}', case when n % 8 = 0 then 'tag' when n % 8 = 4 then 'reply' else 'like' end,
        p.page_id, p.id, p.id, p.id, array[${idOf("user", "2")}], now(), n
      from generate_series(1, ${POSTS}) n join posts p on p.id = ${post};`);
  await sql.execute("vacuum (analyze)");
}

/** Blocks of tables and indexes that the statement reads. */
async function blocksRead(sql: Sql, text: string, ids: readonly string[]): Promise<number> {
  const [row] = await sql.query<{ "QUERY PLAN": { Plan: Record<string, number> }[] }>(
    `explain (analyze, buffers, format json) ${text.replaceAll("$1", `'{${ids.join(",")}}'`)}`,
  );
  const { "Shared Hit Blocks": hit, "Shared Read Blocks": read } = row!["QUERY PLAN"][0]!.Plan;
  return hit! + read!;
}
