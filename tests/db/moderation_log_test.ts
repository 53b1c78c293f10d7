import assert from "node:assert/strict";
import { blockPage, setRole, unblockPage } from "../../db/moderation.ts";
import { type ByRow, listLog, type LogRow, START, type Verdict, verifyChain } from "../../db/moderation_log.ts";
import type { Sql } from "../../db/sql.ts";
import { newId } from "../../lib/ids.ts";
import { ModerationWorld } from "../support/moderation_world.ts";

const at = () => new Date().toISOString();

async function filled(): Promise<{ world: ModerationWorld; admin: string; entries: LogRow[] }> {
  const world = await ModerationWorld.open();
  const admin = await world.account("boss", "admin");
  const by: ByRow = { by_id: admin.id, by_role: "admin", reason: "spam" };
  const people = await Promise.all(["ann", "bob", "eve"].map((login) => world.account(login)));
  const block = { ...by, until: "infinity", job: newId(), at: at() };
  await world.commit(blockPage, people.map(({ page }) => ({ ...block, id: page })));
  await world.commit(setRole, people.map(({ id }) => ({ ...by, id, role: "moderator" as const, at: at() })));
  await world.commit(unblockPage, people.map(({ page }) => ({ ...by, id: page, at: at() })));
  return { world, admin: admin.id, entries: (await listLog(world.sql, { limit: 100 })).reverse() };
}

/** Bypasses the trigger, as the owner of the database can. */
async function tamper(sql: Sql, text: string): Promise<void> {
  await sql.script(
    `alter table moderation_log disable trigger user; ${text}; alter table moderation_log enable trigger user`,
  );
}

function places(verdict: Verdict): [number, string] {
  assert.ok(!verdict.sound, "the chain was accepted");
  return [verdict.seq, verdict.problem];
}

const CHANGED: [string, string][] = [
  ["the actor", "actor_id = gen_random_uuid()"],
  ["the actor, into null", "actor_id = null"],
  ["the login", "actor_login = 'someone'"],
  ["the role", "actor_role = 'moderator'"],
  ["the act", "act = 'page.unblock'"],
  ["the target", "target_id = gen_random_uuid()"],
  ["the kind of the target", "target_kind = 'post'"],
  ["the name of the target", "target_name = target_name || ' '"],
  ["the time", "at = at + interval '1 microsecond'"],
  ["the reason", "reason = 'no reason'"],
  ["the reason, into null", "reason = null"],
  ["the state before", `before = '{"role": "admin"}'`],
  ["the state before, into null", "before = null"],
  ["a missing state, into null", "before = 'null'"],
  ["the state after", `after = '{"role": "user"}'`],
];

Deno.test("acts that share a statement are recorded in order, each with its own before and after", async () => {
  const { world, admin, entries } = await filled();
  await using _ = world;
  assert.deepEqual(entries.map(({ act, target_name }) => `${act} ${target_name}`), [
    ...["ann", "bob", "eve"].map((login) => `page.block ${login}`),
    ...["ann", "bob", "eve"].map((login) => `account.role ${login}`),
    ...["ann", "bob", "eve"].map((login) => `page.unblock ${login}`),
  ]);
  assert.deepEqual(entries.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const blocked = { blocked: { reason: "spam", until: null } };
  const change = (i: number) => [entries[i]!.before, entries[i]!.after];
  assert.deepEqual([change(0), change(3), change(8)], [
    [{ blocked: null }, blocked],
    [{ role: "user" }, { role: "moderator" }],
    [blocked, { blocked: null }],
  ]);
  assert.deepEqual([entries[0]!.actor_id, entries[0]!.actor_login, entries[0]!.actor_role], [admin, "boss", "admin"]);
  const verdict = await verifyChain(world.sql, undefined, 4);
  assert.deepEqual(verdict, { sound: true, end: { seq: 9, hash: entries[8]!.hash } });
  // A command without a change is not recorded.
  const by = { by_id: admin, by_role: "admin", reason: null } as const;
  await world.commit(unblockPage, [{ ...by, id: entries[0]!.target_id, at: at() }]);
  await world.commit(setRole, [{ ...by, id: entries[3]!.target_id, role: "moderator", at: at() }]);
  assert.deepEqual(await verifyChain(world.sql), verdict);
});

Deno.test("the record rejects changes, and an entry inserted by hand is chained as well", async () => {
  const { world, entries } = await filled();
  await using _ = world;
  for (
    const text of ["update moderation_log set reason = 'x'", "delete from moderation_log", "truncate moderation_log"]
  ) await assert.rejects(() => world.sql.execute(text), /only grows/, text);
  await world.sql.execute(
    `insert into moderation_log (seq, previous, hash, at, act, actor_role, target_kind, target_id, target_name)
    values (77, 'x', 'y', now(), 'page.block', 'system', 'page', gen_random_uuid(), 'x')`,
  );
  const verdict = await verifyChain(world.sql);
  assert.ok(verdict.sound && verdict.end.seq === entries.length + 1);
});

Deno.test("an empty record is valid, and one without its end is not", async () => {
  await using world = await ModerationWorld.open();
  assert.deepEqual(await verifyChain(world.sql), { sound: true, end: START });
  await world.sql.execute("delete from moderation_chain");
  assert.match(places(await verifyChain(world.sql))[1], /end is missing/);
});

/** A way to tamper with a log whose last entry is `last`: the problem that is reported, and where. */
type Tampering = [name: string, text: string, expected: [number, RegExp], known?: { seq: number; hash: string }];

function tamperings(entries: readonly LogRow[]): Tampering[] {
  const last = entries.length;
  return [
    ...CHANGED.map(([what, set]): Tampering => [
      `changed: ${what}`,
      `update moderation_log set ${set} where seq = 4`,
      [4, /was changed/],
    ]),
    ["the first is deleted", "delete from moderation_log where seq = 1", [1, /missing/]],
    ["one in the middle is deleted", "delete from moderation_log where seq = 5", [5, /missing/]],
    ["the last is deleted", `delete from moderation_log where seq = ${last}`, [last, /missing/]],
    ["all are deleted", "delete from moderation_log", [1, /missing/]],
    [
      "one is deleted, and those after it close the gap",
      "delete from moderation_log where seq = 5; update moderation_log set seq = seq - 1 where seq > 5",
      [5, /does not follow/],
    ],
    [
      "two are swapped",
      `update moderation_log set seq = 100 where seq = 2; update moderation_log set seq = 2 where seq = 3;
    update moderation_log set seq = 3 where seq = 100`,
      [2, /does not follow/],
    ],
    [
      "one is changed with its hash",
      `update moderation_log set reason = 'x' where seq = 4;
    update moderation_log e set hash = moderation_hash(e) where seq = 4`,
      [5, /does not follow/],
    ],
    [
      "the last is changed with its hash",
      `update moderation_log set reason = 'x' where seq = ${last};
    update moderation_log e set hash = moderation_hash(e) where seq = ${last}`,
      [last, /not that of the chain's end/],
    ],
    [
      "one is appended past the chain's end",
      `insert into moderation_log
      select (jsonb_populate_record(e, jsonb_build_object('seq', ${last} + 1, 'previous', hash))).*
      from moderation_log e where seq = ${last};
    update moderation_log e set hash = moderation_hash(e) where seq = ${last} + 1`,
      [last + 1, /past the end of the chain/],
    ],
    [
      "the last is deleted and the end moved back: found with a known end",
      `delete from moderation_log where seq = ${last};
    update moderation_chain set seq = ${last} - 1, hash = (select hash from moderation_log where seq = ${last} - 1)`,
      [last, /missing/],
      { seq: last, hash: entries[last - 1]!.hash },
    ],
    [
      "the last is rewritten with the end: found with a known end",
      `update moderation_log set reason = 'x' where seq = ${last};
    update moderation_log e set hash = moderation_hash(e) where seq = ${last};
    update moderation_chain set hash = (select hash from moderation_log where seq = ${last})`,
      [last, /not the one that was known/],
      { seq: last, hash: entries[last - 1]!.hash },
    ],
  ];
}

Deno.test("every changed, missing and swapped entry is found, and the first is reported", async (t) => {
  const { world, entries } = await filled();
  await using _ = world;
  const { sql } = world;
  const sound = await verifyChain(sql);
  await sql.script(
    "create table kept as select * from moderation_log; create table kept_end as select * from moderation_chain",
  );
  for (const [name, text, expected, known] of tamperings(entries)) {
    await t.step(name, async () => {
      await tamper(sql, text);
      const [seq, problem] = places(await verifyChain(sql, known, 3));
      assert.equal(seq, expected[0]);
      assert.match(problem, expected[1]);
      await tamper(
        sql,
        `delete from moderation_log; insert into moderation_log select * from kept;
        delete from moderation_chain; insert into moderation_chain select * from kept_end`,
      );
      assert.deepEqual(await verifyChain(sql), sound, "the test restores the log");
    });
  }
});

Deno.test("concurrent acts from many connections form one chain", async () => {
  await using world = await ModerationWorld.open();
  const admin = await world.account("boss", "admin");
  const people = await Promise.all(Array.from({ length: 12 }, (_, i) => world.account(`p${i}`)));
  const by: ByRow = { by_id: admin.id, by_role: "admin", reason: null };
  await Promise.all(people.flatMap(({ id, page }) => [
    world.commit(blockPage, [{ ...by, id: page, until: "infinity", job: newId(), at: at() }]),
    world.commit(setRole, [{ ...by, id, role: "moderator", at: at() }]),
  ]));
  const verdict = await verifyChain(world.sql);
  assert.ok(verdict.sound && verdict.end.seq === 24, JSON.stringify(verdict));
});
