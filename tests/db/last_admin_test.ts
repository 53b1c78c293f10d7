import assert from "node:assert/strict";
import { blockUser, deleteUser, setRole } from "../../db/moderation.ts";
import { newId } from "../../lib/ids.ts";
import { ModerationWorld } from "../support/moderation_world.ts";

async function admins(world: ModerationWorld, count: number): Promise<string[]> {
  const ids = [];
  for (let i = 0; i < count; i++) ids.push((await world.account(`boss${i}`, "admin")).id);
  return ids;
}

/** The row with which any of the acts removes this administrator. */
function removing(id: string) {
  const by = { by_id: id, by_role: "admin", reason: null } as const;
  return { ...by, id, role: "user" as const, until: "infinity", job: newId(), at: new Date().toISOString() };
}

async function left(world: ModerationWorld): Promise<number> {
  const [row] = await world.sql.query<{ n: number }>(
    "select count(*) as n from users where role = 'admin' and (blocked_until is null or blocked_until <= now())",
  );
  return row!.n;
}

for (const act of [setRole, blockUser, deleteUser]) {
  Deno.test(`${act.name} of all administrators in one statement keeps one`, async () => {
    await using world = await ModerationWorld.open();
    const rows = (await admins(world, 3)).map(removing);
    const answers = await world.commit(act as typeof blockUser, rows);
    assert.deepEqual(answers.map(({ last_admin }) => last_admin), [false, false, true]);
    assert.equal(await left(world), 1);
  });
}

Deno.test("concurrent acts on all administrators, each in its own statement, keep one", async () => {
  await using world = await ModerationWorld.open();
  const ids = await admins(world, 3);
  const acts = [setRole, blockUser, setRole] as (typeof blockUser)[];
  for (let round = 0; round < 8; round++) {
    await world.sql.execute("update users set role = 'admin', blocked_until = null");
    const answers = await Promise.all(ids.map((id, i) => world.commit(acts[i]!, [removing(id)])));
    assert.equal(answers.filter(([answer]) => answer!.last_admin).length, 1);
    assert.equal(await left(world), 1);
  }
});

Deno.test("a blocked administrator does not count as one who can sign in", async () => {
  await using world = await ModerationWorld.open();
  const [one, other] = await admins(world, 2) as [string, string];
  assert.deepEqual(await world.commit(blockUser, [removing(one)]), [{ last_admin: false }]);
  assert.deepEqual(await world.commit(blockUser, [removing(other)]), [{ last_admin: true }]);
  // A blocked administrator can be demoted: the number of those who can sign in stays the same.
  assert.deepEqual(await world.commit(setRole, [removing(one)]), [{ last_admin: false }]);
  assert.deepEqual(await world.commit(setRole, [removing(other)]), [{ last_admin: true }]);
});
