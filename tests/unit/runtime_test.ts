import assert from "node:assert/strict";
import { type ActorKind, commit, refuse, reply } from "../../actors/runtime/actor.ts";
import { defineCommit } from "../../db/turn_statement.ts";
import { Host } from "../../actors/runtime/host.ts";
import { partitionOf } from "../../db/partitions.ts";
import { MAX_MAILBOX } from "../../actors/runtime/mailbox.ts";
import type { Reply } from "../../actors/runtime/protocol.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { type Sql, SqlError } from "../../db/sql.ts";

const add = defineCommit<{ n: number }, { total: number }>("test.add", {
  columns: "n int",
  body: "added as (select 1)",
  select: "select turn, '{}'::jsonb as result from turns",
  violations: { too_much: "uuid-taken" },
});

type Count = { total: number; seen: number };
type CountCommand =
  | { type: "add"; n: number }
  | { type: "like"; key: string }
  | { type: "get" }
  | { type: "refuse" }
  | { type: "break" }
  | { type: "guess" };

/** A counter: small enough to see the runtime itself. */
const counter: ActorKind<Count, CountCommand> = {
  name: "page",
  load: async (sql) => ({ total: (await sql.query<{ total: number }>("load", [], "load"))[0]!.total, seen: 0 }),
  decide(state, command) {
    switch (command.type) {
      case "add":
        return commit(add, { n: command.n }, ({ total }) => ({ value: total, state: { ...state, total } }));
      case "like":
        return commit(add, { n: 1 }, ({ total }) => ({ value: total }));
      case "get":
        return reply(state);
      case "refuse":
        return refuse("forbidden");
      case "guess":
        return commit(
          add,
          { n: 1 },
          ({ total }) => ({ refusal: { code: "code-invalid" }, state: { ...state, total } }),
        );
      case "break":
        throw new Error("A mistake in decide");
    }
  },
  batchKey: (command) => command.type === "like" ? command.key : undefined,
  snapshot: ({ total }) => ({ total }),
  absorb: (state, event) => event.kind === "page.updated" ? "drop" : { ...state, seen: event.seq },
  watches: () => ["watched"],
};

/** A database of one number, that can be held up or broken. */
class FakeSql implements Sql {
  total = 0;
  epoch = 1;
  loads = 0;
  /** Rows of each statement. */
  statements: number[] = [];
  error: Error | undefined;
  /** Breaks the rule of `add`, with whatever goes in the same statement. */
  unlucky: number | undefined;
  gate: PromiseWithResolvers<void> | undefined;

  async query<Row>(_: string, params: readonly unknown[] = [], name?: string): Promise<Row[]> {
    if (name === "load") {
      this.loads++;
      return [{ total: this.total }] as Row[];
    }
    const rows: { turn: number; n: number; epoch: number }[] = JSON.parse(params[0] as string);
    this.statements.push(rows.length);
    await this.gate?.promise;
    if (this.error) throw this.error;
    if (rows.some(({ n }) => n === this.unlucky)) {
      throw new SqlError("a rule is broken", "constraint", "23505", "too_much");
    }
    return rows.filter(({ epoch }) => epoch === this.epoch).map(({ turn, n }) => ({
      turn,
      result: { total: this.total += n },
      seq: null,
      events: null,
    })) as Row[];
  }
  script(): Promise<void> {
    return Promise.resolve();
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

function started({ limits = { idleMs: 1_000, maxActivations: 10 } } = {}) {
  const sql = new FakeSql();
  const clock = { now: 1_000_000 };
  const told = { snapshots: [] as unknown[], fenced: [] as number[], faults: 0 };
  const ports = {
    committed: () => {},
    snapshot: (_: unknown, value: unknown) => told.snapshots.push(value),
    fenced: (partition: number) => told.fenced.push(partition),
    fault: () => told.faults++,
  };
  const host = new Host({ user: counter, page: counter, feed: counter }, sql, ports, limits, () => clock.now);
  for (let partition = 0; partition < 64; partition++) host.grant(partition, 1);
  const ask = (command: CountCommand, { id = "a", deadline = Infinity } = {}) =>
    new Promise<Reply>((answer) =>
      host.ask({ kind: "page", id }, { command, deadline, arrived: clock.now, answer: (reply) => answer(reply) })
    );
  const code = async (command: CountCommand, options = {}) => {
    const answer = await ask(command, options);
    return answer.ok ? "ok" : answer.refusal.code;
  };
  return { sql, clock, told, host, ask, code };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
const event = (fields: Partial<SequencedEvent>) =>
  ({
    seq: 5,
    kind: "post.created",
    page_id: "a",
    post_id: null,
    user_id: null,
    data: null,
    ...fields,
  }) as SequencedEvent;

Deno.test("Host loads an actor once, at its first message, and decides by what it remembers", async () => {
  const { sql, ask } = started();
  sql.total = 5;
  assert.deepEqual(await ask({ type: "add", n: 2 }), { ok: true, value: 7 });
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 7, seen: 0 } });
  assert.equal(sql.loads, 1);
});

Deno.test("Host takes one message at a time, in their order, and lets nothing out before the commit", async () => {
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

Deno.test("Host sends the next statement before the turns of the last one go on", async () => {
  const { sql, ask, host } = started();
  const gate = sql.gate = Promise.withResolvers();
  // How many statements were on their way when the first turn was answered.
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

Deno.test("Host lets a broken rule cost its own turn only: the others get statements of their own, and go on with them", async () => {
  const { sql, ask } = started();
  sql.unlucky = 13;
  const gate = sql.gate = Promise.withResolvers();
  const first = ask({ type: "add", n: 1 }, { id: "a" });
  await settled();
  const together = [1, 13, 1].map(async (n, i) => {
    const answer = await ask({ type: "add", n }, { id: `b${i}` });
    return { said: answer.ok ? "ok" : answer.refusal.code, statements: sql.statements.length };
  });
  await settled();
  gate.resolve();
  await first;
  const answers = await Promise.all(together);
  assert.deepEqual(answers.map(({ said }) => said), ["ok", "uuid-taken", "ok"]);
  assert.deepEqual(sql.statements, [1, 3, 1, 1, 1]);
  assert.ok(answers[0]!.statements < 5, "it waited for statements of others");
});

Deno.test("Host puts the messages of a hot actor into one statement while another runs", async () => {
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

Deno.test("Host refuses what a full mailbox cannot take, at once, and keeps the rest", async () => {
  const { sql, ask, code, host } = started();
  sql.gate = Promise.withResolvers();
  const first = ask({ type: "add", n: 1 });
  await settled();
  const waiting = Array.from({ length: MAX_MAILBOX }, () => ask({ type: "get" }));
  assert.equal(host.stats().waiting, MAX_MAILBOX);
  assert.deepEqual(await ask({ type: "get" }), { ok: false, refusal: { code: "overloaded", retryAfter: 1 } });
  assert.equal(await code({ type: "get" }, { id: "b" }), "ok", "another actor is not touched by it");
  sql.gate.resolve();
  assert.ok((await Promise.all([first, ...waiting])).every(({ ok }) => ok));
});

Deno.test("Host does not begin a message whose time is over", async () => {
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

Deno.test("Host answers a broken rule by its slug, and looks again", async () => {
  const { sql, told, code } = started();
  await code({ type: "get" });
  sql.error = new SqlError("twice", "constraint", "23505", "too_much");
  assert.equal(await code({ type: "add", n: 1 }), "uuid-taken");
  sql.error = undefined;
  sql.total = 50;
  assert.equal(await code({ type: "add", n: 1 }), "ok");
  assert.deepEqual([sql.loads, sql.total, told.faults], [2, 51, 0]);
});

for (
  const [kind, expected] of [
    ["unavailable", "database-unavailable"],
    ["lost", "database-unavailable"],
    ["fault", "internal"],
    ["constraint", "internal"],
  ] as const
) {
  Deno.test(`Host forgets an actor after an SQL error that is ${kind}, and answers ${expected}`, async () => {
    const { sql, told, code } = started();
    await code({ type: "get" });
    sql.error = new SqlError("broken", kind, "XX000", "unknown_rule");
    assert.equal(await code({ type: "add", n: 1 }), expected);
    sql.error = undefined;
    assert.equal(await code({ type: "get" }), "ok");
    assert.equal(sql.loads, 2);
    assert.equal(told.faults, expected === "internal" ? 1 : 0);
  });
}

Deno.test("Host answers the other messages of an actor that fails", async () => {
  const { code } = started();
  const codes = await Promise.all([code({ type: "get" }), code({ type: "break" }), code({ type: "get" })]);
  assert.deepEqual(codes, ["ok", "internal", "ok"]);
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
  assert.equal(await code({ type: "get" }), "ok", "a success begins the count anew");
});

Deno.test("Host stops writing where another node took the partition", async () => {
  const { sql, told, host, code } = started();
  await code({ type: "add", n: 1 });
  sql.epoch = 2;
  assert.equal(await code({ type: "add", n: 1 }), "overloaded");
  assert.deepEqual([sql.total, told.fenced, told.faults], [1, [partitionOf("a")], 0]);
  sql.total = 9;
  host.grant(partitionOf("a"), 2);
  assert.equal(await code({ type: "add", n: 1 }), "ok");
  assert.deepEqual([sql.total, sql.loads], [10, 2]);
});

Deno.test("Host forgets what it remembers of a partition that is granted anew", async () => {
  const { sql, host, ask } = started();
  await ask({ type: "get" });
  sql.total = 3;
  host.grant(partitionOf("a"), 1);
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 3, seen: 0 } });
});

Deno.test("Host keeps the state that comes with a refusal", async () => {
  const { ask, code } = started();
  assert.equal(await code({ type: "guess" }), "code-invalid");
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 1, seen: 0 } });
  assert.equal(await code({ type: "refuse" }), "forbidden");
});

Deno.test("Host tells a snapshot only when it changed, and before the answer", async () => {
  const { told, code } = started();
  await code({ type: "get" });
  await code({ type: "add", n: 0 });
  assert.deepEqual(told.snapshots, []);
  await code({ type: "add", n: 4 }).then(() => assert.deepEqual(told.snapshots, [{ total: 4 }]));
});

Deno.test("Host tells a snapshot that somebody else has changed, when an event has made it look again", async () => {
  const { sql, told, host, ask } = started();
  await ask({ type: "get" });
  sql.total = 9;
  const event: SequencedEvent = {
    seq: 1,
    kind: "page.updated",
    page_id: "a",
    post_id: null,
    user_id: null,
    data: null,
    at: "",
  };
  host.absorb([event]);
  await ask({ type: "get" }).then(() => assert.deepEqual(told.snapshots, [{ total: 9 }]));
  host.absorb([event]);
  await ask({ type: "get" });
  assert.equal(told.snapshots.length, 1, "it is told though it is the same");
});

Deno.test("Host passivates the idle, not the busy and not the young", async () => {
  const { sql, clock, host, ask, code } = started();
  await code({ type: "get" }, { id: "idle" });
  sql.gate = Promise.withResolvers();
  const busy = ask({ type: "add", n: 1 }, { id: "busy" });
  await settled();
  clock.now += 1_001;
  await code({ type: "get" }, { id: "young" });
  host.sweep();
  assert.equal(host.stats().activations.page, 2);
  sql.gate.resolve();
  assert.equal((await busy).ok, true);
  const loads = sql.loads;
  await code({ type: "get" }, { id: "young" });
  assert.equal(sql.loads, loads);
  await code({ type: "get" }, { id: "idle" });
  assert.equal(sql.loads, loads + 1);
});

Deno.test("Host over its limit passivates the longest unused", async () => {
  const { sql, host, code } = started({ limits: { idleMs: 1_000_000, maxActivations: 2 } });
  for (const id of ["a", "b", "c", "a"]) await code({ type: "get" }, { id });
  host.sweep();
  assert.equal(host.stats().activations.page, 2);
  const loads = sql.loads;
  for (const id of ["a", "c"]) await code({ type: "get" }, { id });
  assert.equal(sql.loads, loads, "the youngest two are still there");
  await code({ type: "get" }, { id: "b" });
  assert.equal(sql.loads, loads + 1);
});

Deno.test("Host lets active actors take in the events they watch or are about, before what is asked later", async () => {
  const { sql, host, ask } = started();
  const seen = async (id: string) => {
    const answer = await ask({ type: "get" }, { id });
    return answer.ok && (answer.value as Count).seen;
  };
  await seen("a");
  await seen("b");
  host.absorb([event({ seq: 7 })]);
  assert.deepEqual([await seen("a"), await seen("b"), await seen("new")], [7, 0, 0]);
  host.absorb([event({ seq: 8, page_id: "watched" })]);
  assert.deepEqual([await seen("a"), await seen("b")], [8, 8]);
  const loads = sql.loads;
  host.absorb([event({ kind: "page.updated" })]);
  assert.deepEqual([await seen("a"), sql.loads], [0, loads + 1]);
});

Deno.test("Host lets an event that comes during a turn be taken in after it, and before the next", async () => {
  const { sql, host, ask } = started();
  await ask({ type: "get" });
  sql.gate = Promise.withResolvers();
  const first = ask({ type: "add", n: 1 });
  const next = ask({ type: "get" });
  await settled();
  host.absorb([event({ seq: 9 })]);
  sql.gate.resolve();
  await first;
  assert.deepEqual(await next, { ok: true, value: { total: 1, seen: 9 } });
});

Deno.test("Host passes what is only told to actors that are active, and to no other", async () => {
  const { sql, host, ask } = started();
  host.tell({ kind: "page", id: "a" }, { type: "add", n: 1 } as CountCommand);
  await settled();
  assert.deepEqual([sql.loads, sql.total], [0, 0]);
  await ask({ type: "get" });
  host.tell({ kind: "page", id: "a" }, { type: "add", n: 1 } as CountCommand);
  assert.deepEqual(await ask({ type: "get" }), { ok: true, value: { total: 1, seen: 0 } });
});

Deno.test("Partitions are spread evenly, and an id stays where it is: what is stored by partition depends on it", () => {
  const counts = new Array(64).fill(0);
  for (let i = 0; i < 6_400; i++) counts[partitionOf(crypto.randomUUID())]++;
  assert.ok(Math.min(...counts) > 40 && Math.max(...counts) < 180, String(counts));
  assert.equal(partitionOf("018f0000-0000-7000-8000-000000000001"), 8);
});
