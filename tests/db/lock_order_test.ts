/** Statements that emit events lock the sequencer's row last, so none holds it while it waits for another lock. */
import assert from "node:assert/strict";
import { follow } from "../../db/follows.ts";
import { deleteUser } from "../../db/moderation.ts";
import { stepNotifications } from "../../db/notification_step.ts";
import { sleep } from "../../lib/sleep.ts";
import { ModerationWorld } from "../support/moderation_world.ts";

const ROUNDS = 40;
const SYSTEM = { by_id: null, by_role: null, reason: null };
const DIGEST = "2030-01-01T08:00:00Z";

Deno.test("An account deleted while it follows and is notified causes no deadlock", async () => {
  await using world = await ModerationWorld.open();
  const ada = await world.account("ada");
  for (let round = 0; round < ROUNDS; round++) {
    const [bob, eve] = [await world.account(`bob${round}`), await world.account(`eve${round}`)];
    const at = new Date().toISOString();
    const following = (page: string, user: string) => ({
      page_id: page,
      user_id: user,
      state: "following" as const,
      at,
    });
    await world.commit(follow, [following(bob.page, ada.id)]);
    await Promise.all([
      world.commit(follow, [following(ada.page, bob.id)]),
      world.commit(follow, [following(eve.page, bob.id)]),
      world.commit(follow, [following(bob.page, eve.id)]),
      world.commit(deleteUser, [{ id: bob.id, at, ...SYSTEM }]),
      stepNotifications(world.sql, 500, DIGEST),
    ]);
  }
  const [left] = await world.sql.query<{ n: number }>(
    "select count(*)::int as n from follows f where not exists (select from users u where u.id = f.user_id)",
  );
  assert.equal(left!.n, 0);
  // Postgres reports a session's deadlocks after a second of idleness, or at its end.
  await sleep(1_500);
  await world.sql.query("select 1");
  const [seen] = await world.sql.query<{ n: number }>(
    "select deadlocks as n from pg_stat_database where datname = current_database()",
  );
  assert.equal(seen!.n, 0, "deadlocks");
});
