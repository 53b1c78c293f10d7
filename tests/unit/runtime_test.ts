import assert from "node:assert/strict";
import { feedActor } from "../../actors/feed.ts";
import { pageActor } from "../../actors/page.ts";
import { MAX_MAILBOX } from "../../actors/runtime/mailbox.ts";
import type { Command, KindName, Refusal } from "../../actors/runtime/protocol.ts";
import { userActor } from "../../actors/user.ts";
import type { EventKind } from "../../db/event.ts";
import { partitionOf } from "../../db/partitions.ts";
import { SqlError } from "../../db/sql.ts";
import { type CountCommand, event, settled, started, word } from "../support/counter_actor.ts";

Deno.test("Host loads an actor once, at its first message, and decides by its state", async () => {
  const { sql, ask } = started();
  sql.total = 5;
  assert.deepEqual(await ask({ type: "add", n: 2 }), { ok: true, value: 7 });
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 7, seen: 0 } });
  assert.equal(sql.loads, 1);
});

Deno.test("Host runs one message at a time, in order, and replies only after the commit", async () => {
  const { sql, ask } = started();
  sql.gate = Promise.withResolvers();
  const order: string[] = [];
  const asked = [
    ask({ type: "add", n: 1 }).then(() => order.push("first")),
    ask({ type: "get" }).then(() => order.push("get")),
    ask({ type: "add", n: 1 }).then(() => order.push("second")),
  ];
  await settled();
  assert.deepEqual([order, sql.statements], [[], [1]]);
  sql.gate.resolve();
  await Promise.all(asked);
  assert.deepEqual(order, ["first", "get", "second"]);
  assert.deepEqual(sql.statements, [1, 1]);
});

Deno.test("Host sends the next statement before the turns of the last one continue", async () => {
  const { sql, ask, host } = started();
  const gate = sql.gate = Promise.withResolvers();
  // The number of statements in flight when the first turn was answered.
  const first = Promise.withResolvers<number>();
  const answer = () => first.resolve(sql.statements.length);
  host.ask({ kind: "page", id: "a" }, {
    command: { type: "add", n: 1 } as CountCommand,
    deadline: Infinity,
    arrived: 0,
    answer,
  });
  await settled();
  const second = ask({ type: "add", n: 1 }, { id: "b" });
  await settled();
  assert.deepEqual(sql.statements, [1]);
  gate.resolve();
  assert.equal(await first.promise, 2);
  await second;
});

Deno.test("Host fails only the turn that violates a constraint: the others get their own statements", async () => {
  const { sql, ask } = started();
  sql.unlucky = 13;
  const gate = sql.gate = Promise.withResolvers();
  const first = ask({ type: "add", n: 1 }, { id: "a" });
  await settled();
  const together = [1, 13, 1].map(async (n, i) => {
    const answer = await ask({ type: "add", n }, { id: `b${i}` });
    return { said: word(answer), statements: sql.statements.length };
  });
  await settled();
  gate.resolve();
  await first;
  const answers = await Promise.all(together);
  assert.deepEqual(answers.map(({ said }) => said), ["ok", "uuid-taken", "ok"]);
  assert.deepEqual(sql.statements, [1, 3, 1, 1, 1]);
  assert.ok(answers[0]!.statements < 5, "its answer did not wait for statements of other turns");
});

Deno.test("Host puts the messages of a busy actor into one statement while another runs", async () => {
  const { sql, ask, host } = started();
  sql.gate = Promise.withResolvers();
  const asked = [ask({ type: "add", n: 1 })];
  await settled();
  for (let i = 0; i < 100; i++) asked.push(ask({ type: "like", key: String(i) }));
  asked.push(ask({ type: "like", key: "0" }));
  sql.gate.resolve();
  const values = (await Promise.all(asked)).map((answer) => answer.ok && answer.value);
  assert.deepEqual(sql.statements, [1, 100, 1]);
  assert.deepEqual(values, Array.from({ length: 102 }, (_, i) => i + 1));
  assert.equal(host.stats().commits, 102);
});

Deno.test("Host rejects messages over a full mailbox at once, and keeps the rest", async () => {
  const { sql, ask, code, host } = started();
  sql.gate = Promise.withResolvers();
  const first = ask({ type: "add", n: 1 });
  await settled();
  const waiting = Array.from({ length: MAX_MAILBOX }, () => ask({ type: "get" }));
  assert.equal(host.stats().waiting, MAX_MAILBOX);
  assert.deepEqual(await ask({ type: "get" }), { ok: false, refusal: { code: "overloaded", retryAfter: 1 } });
  assert.equal(await code({ type: "get" }, { id: "b" }), "ok", "another actor is not affected");
  sql.gate.resolve();
  assert.ok((await Promise.all([first, ...waiting])).every(({ ok }) => ok));
});

Deno.test("Host does not start an expired message", async () => {
  const { sql, clock, ask, code } = started();
  sql.gate = Promise.withResolvers();
  const first = ask({ type: "add", n: 1 });
  await settled();
  const late = code({ type: "add", n: 10 }, { deadline: clock.now + 5 });
  const still = code({ type: "add", n: 100 }, { deadline: clock.now + 6 });
  clock.now += 5;
  sql.gate.resolve();
  assert.deepEqual([(await first).ok, await late, await still], [true, "overloaded", "ok"]);
  assert.equal(sql.total, 101);
});

Deno.test("Host answers a constraint violation with its problem, and loads again", async () => {
  const { sql, effects, code } = started();
  await code({ type: "get" });
  sql.error = new SqlError("twice", "constraint", "23505", "too_much");
  assert.equal(await code({ type: "add", n: 1 }), "uuid-taken");
  sql.error = undefined;
  sql.total = 50;
  assert.equal(await code({ type: "add", n: 1 }), "ok");
  assert.deepEqual([sql.loads, sql.total, effects.faults], [2, 51, 0]);
});

for (
  const [kind, expected] of [
    ["unavailable", "database-unavailable"],
    ["lost", "database-unavailable"],
    ["fault", "internal"],
    ["constraint", "internal"],
  ] as const
) {
  Deno.test(`Host unloads an actor after an SQL error that is ${kind}, and answers ${expected}`, async () => {
    const { sql, effects, grant, code } = started();
    await code({ type: "get" });
    sql.error = new SqlError("broken", kind, "XX000", "unknown_rule");
    assert.equal(await code({ type: "add", n: 1 }), expected);
    sql.error = undefined;
    assert.equal(await code({ type: "get" }), kind === "lost" ? "moved" : "ok");
    grant(1);
    assert.equal(await code({ type: "get" }), "ok");
    assert.equal(sql.loads, 2);
    assert.equal(effects.faults, expected === "internal" ? 1 : 0);
  });
}

Deno.test("Host answers the other messages of a failing actor", async () => {
  const { code } = started();
  const codes = await Promise.all([code({ type: "get" }), code({ type: "break" }), code({ type: "get" })]);
  assert.deepEqual(codes, ["ok", "internal", "ok"]);
});

for (const [lost, ends] of [["test.add_apart", ["moved", "lost"]], ["test.add", ["lost", "moved"]]] as const) {
  Deno.test(`Host answers each message of a turn by its own statement, if the answer of ${lost} is lost`, async () => {
    const { sql, ask, effects } = started();
    // Both wait for the load and share the next turn.
    const gate = Promise.withResolvers<void>();
    sql.loading = gate.promise;
    const first = ask({ type: "get" });
    const both = [ask({ type: "like", key: "1" }), ask({ type: "like", key: "2", apart: true })];
    sql.epoch = 2;
    sql.lost.add(lost);
    gate.resolve();
    await first;
    const answers = await Promise.all(both);
    assert.deepEqual(sql.statements, [1, 1]);
    assert.deepEqual(answers.map((each) => word(each) === "database-unavailable" ? "lost" : word(each)), ends);
    assert.deepEqual([effects.faults, effects.outdated.length], [0, 1]);
  });
}

Deno.test("Host begins no turn of a partition after a lost commit, until the partition is granted again", async () => {
  const { sql, code, grant, effects } = started();
  sql.gate = Promise.withResolvers();
  sql.lost.add("test.add");
  const first = code({ type: "add", n: 1 });
  await settled();
  const waiting = code({ type: "add", n: 10 });
  sql.gate.resolve();
  assert.deepEqual([await first, await waiting], ["database-unavailable", "moved"]);
  assert.deepEqual([sql.statements, effects.outdated.length], [[1], 1]);
  sql.lost.clear();
  sql.epoch = 2;
  grant(2);
  assert.deepEqual([await code({ type: "add", n: 10 }), sql.total], ["ok", 11]);
});

Deno.test("Host counts one fault for a turn in which several messages fail", async () => {
  const { sql, ask, code, effects } = started();
  sql.error = new SqlError("broken", "fault");
  for (let turn = 1; turn <= 2; turn++) {
    const first = ask({ type: "get" });
    const likes = Array.from({ length: 10 }, (_, i) => ask({ type: "like", key: `${i}` }));
    await first;
    assert.deepEqual((await Promise.all(likes)).map(word), Array(10).fill("internal"));
    assert.equal(effects.faults, turn);
  }
  sql.error = undefined;
  assert.equal(await code({ type: "get" }), "ok", "it is not paused");
});

Deno.test("Host pauses an actor that fails three times in a row, longer each time, and no other", async () => {
  const { clock, code, ask } = started();
  for (let i = 0; i < 3; i++) assert.equal(await code({ type: "break" }), "internal");
  assert.deepEqual(await ask({ type: "get" }), { ok: false, refusal: { code: "overloaded", retryAfter: 1 } });
  assert.equal(await code({ type: "get" }, { id: "b" }), "ok");
  clock.now += 499;
  assert.equal(await code({ type: "get" }), "overloaded");
  clock.now += 1;
  assert.equal(await code({ type: "break" }), "internal");
  clock.now += 999;
  assert.equal(await code({ type: "get" }), "overloaded");
  clock.now += 1;
  assert.equal(await code({ type: "get" }), "ok");
  for (let i = 0; i < 2; i++) await code({ type: "break" });
  assert.equal(await code({ type: "get" }), "ok", "a success restarts the count");
});

Deno.test("Host keeps the state of a refusal", async () => {
  const { ask, code } = started();
  assert.equal(await code({ type: "guess" }), "code-invalid");
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 1, seen: 0 } });
  assert.equal(await code({ type: "refuse" }), "forbidden");
});

Deno.test("Partitions are spread evenly, and an id never changes its partition", () => {
  const counts = new Array(64).fill(0);
  for (let i = 0; i < 6_400; i++) counts[partitionOf(crypto.randomUUID())]++;
  assert.ok(Math.min(...counts) > 40 && Math.max(...counts) < 180, String(counts));
  assert.equal(partitionOf("018f0000-0000-7000-8000-000000000001"), 8);
});

Deno.test("Host refuses a command that it does not know, and does not count it as a fault", async () => {
  const { effects, ask, code } = started();
  const unknown = { type: "of_a_newer_version" } as unknown as CountCommand;
  for (let i = 0; i < 5; i++) {
    const { refusal } = await ask(unknown) as { refusal: Refusal };
    assert.deepEqual([refusal.code, refusal.retryAfter], ["actors-unavailable", 1]);
  }
  assert.equal(await code({ type: "get" }), "ok", "the actor is not paused");
  assert.equal(effects.faults, 0);
});

Deno.test("Host answers a malformed command, and its thread goes on", async () => {
  const { host, code, effects } = started();
  const answers: string[] = [];
  const send = (kind: string, command: unknown) =>
    host.ask({ kind: kind as KindName, id: "a" }, {
      command: command as Command,
      deadline: Infinity,
      arrived: 0,
      answer: (reply) => answers.push(word(reply)),
    });
  send("page", null);
  send("page", {});
  send("planet", { type: "get" });
  send("toString", { type: "get" });
  // The counter reads the key of a like.
  send("page", { type: "like", key: { toString: null } });
  await settled();
  assert.deepEqual(answers, Array(5).fill("actors-unavailable"));
  assert.equal(await code({ type: "get" }), "ok");
  assert.equal(effects.faults, 1, "the last one is logged");
});

Deno.test("Host drops a state to which an event cannot be applied", async () => {
  const { sql, host, effects, code } = started();
  await code({ type: "get" });
  host.absorb([event({ kind: "malformed" as EventKind })]);
  assert.deepEqual([await code({ type: "get" }), sql.loads, effects.faults], ["ok", 2, 1]);
});

Deno.test("Each kind of actor handles its commands and no others", () => {
  const kinds = { page: pageActor, user: userActor(new Uint8Array(32)), feed: feedActor };
  const known = { page: ["create", "like", "follow"], user: ["register", "set_role"], feed: ["first_page"] };
  for (const [name, kind] of Object.entries(kinds)) {
    const handled = [...Object.values(known).flat(), "toString", "__proto__", ""].filter((type) => kind.handles(type));
    assert.deepEqual(handled, known[name as KindName]);
  }
});
