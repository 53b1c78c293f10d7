/**
 * Statistics of events over a bus that loses, repeats and reorders messages, compared with a model that counts by
 * itself.
 */
import assert from "node:assert/strict";
import { LocalBus } from "../../../lib/bus/local.ts";
import type { EventKind, SequencedEvent } from "../../../db/event.ts";
import { eventsMessage } from "../../../actors/events_message.ts";
import { Stats } from "../../../actors/stats.ts";
import { pruneEvents, sequencerState } from "../../../db/events.ts";
import { migrate } from "../../../db/migrate.ts";
import { foldEvents, recountDays } from "../../../db/page_days.ts";
import type { Sql } from "../../../db/sql.ts";
import { Log } from "../../../lib/log.ts";
import { NUMBERS, type Numbers } from "../../../db/page_numbers.ts";
import { publish } from "../../../live/publisher.ts";
import { rebuild } from "../../../services/stats/rebuild.ts";
import { nothing, StatsStore } from "../../../services/stats/store.ts";
import { sleep } from "../../../lib/sleep.ts";
import { openTestDatabase } from "../../support/database.ts";
import { type Seeded, seededTest } from "../../support/seeded.ts";
import { until } from "../../support/wait.ts";

const log = new Log("error");
const PAGES = Array.from({ length: 4 }, () => crypto.randomUUID());
const ROUNDS = 60;

/** Random events, and the numbers that result from them. */
class History {
  readonly days = new Map<string, Map<string, Numbers>>();
  readonly ended: string[] = [];
  #pages = [...PAGES];
  #seq = 0;

  constructor(private readonly random: Seeded, private readonly sql: Sql) {}

  /** Writes a few events, and returns them as delivered. */
  async go(): Promise<SequencedEvent[]> {
    const events = Array.from({ length: this.random.whole(1, 6) }, () => this.#event());
    await this.sql.execute(
      `with added as (
        insert into events (seq, kind, page_id, data, at)
        select seq, kind, page_id, data, at from jsonb_to_recordset($1::jsonb)
          as e(seq bigint, kind text, page_id uuid, data jsonb, at timestamptz)
        returning seq)
      update sequencer set seq = (select max(seq) from added)`,
      [JSON.stringify(events)],
    );
    return events;
  }

  #event(): SequencedEvent {
    const { random } = this;
    const page = random.pick(this.#pages);
    const at = new Date(Date.UTC(2026, 1, random.whole(26, 31), random.pick([0, 12, 23]), random.pick([0, 59])))
      .toISOString();
    const event = { seq: ++this.#seq, page_id: page, post_id: null, user_id: null, at };
    if (random.chance(0.03)) {
      this.days.delete(page);
      this.ended.push(page);
      // A deleted page has no further events.
      this.#pages = this.#pages.map((each) => each === page ? crypto.randomUUID() : each);
      return { ...event, kind: "page.hidden", data: { reason: "deleted" } };
    }
    // Most kinds of events are not counted.
    if (random.chance(0.3)) return { ...event, kind: "page.hidden", data: random.pick([null, { reason: "blocked" }]) };
    const counts = Object.fromEntries(
      NUMBERS.filter(() => random.chance(0.4)).map((name) => [name, random.whole(-3, 5)]),
    );
    const days = this.days.get(page) ?? new Map<string, Numbers>();
    this.days.set(page, days);
    const numbers = days.get(at.slice(0, 10)) ?? nothing();
    for (const name of NUMBERS) numbers[name] += counts[name] ?? 0;
    days.set(at.slice(0, 10), numbers);
    return {
      ...event,
      kind: random.pick<EventKind>(["post.likes", "follow.changed", "post.deleted"]),
      data: { counts },
    };
  }
}

async function prepare(sql: Sql, besideLedger = false): Promise<StatsStore> {
  await migrate(sql);
  const store = new StatsStore(sql, besideLedger);
  await store.migrate();
  return store;
}

async function settled(sql: Sql, store: StatsStore): Promise<void> {
  await until("all events are counted", async () => {
    const { epoch, seq } = await sequencerState(sql);
    const at = await store.position();
    return at?.epoch === epoch && at.seq === seq;
  });
}

async function compare(store: StatsStore, history: History, when: string): Promise<void> {
  for (const page of [...history.days.keys(), ...history.ended]) {
    const { before, days, after } = await store.changes(page, "2026-02-01", "2026-04-01");
    assert.deepEqual([before, after], [nothing(), nothing()]);
    const expected = history.days.get(page) ?? new Map<string, Numbers>();
    const drop = (all: Map<string, Numbers>) =>
      [...all].filter(([, numbers]) => NUMBERS.some((name) => numbers[name] !== 0)).sort();
    assert.deepEqual(drop(days), drop(expected), `${page} ${when}`);
  }
}

for (const besideLedger of [true, false]) {
  const where = besideLedger ? "read from the ledger" : "sent over the bus";
  seededTest(
    `each event counts once, lost, repeated or reordered, with two processes, ${where}`,
    async (random) => {
      await using sql = await openTestDatabase();
      const store = await prepare(sql, besideLedger);
      const { epoch } = await sequencerState(sql);
      await using bus = new LocalBus({ retryMs: 10 });
      const history = new History(random, sql);
      const begin = () => new Stats({ store, ledger: sql, bus, log });
      let [one, two] = [begin(), begin()];
      const held: SequencedEvent[][] = [];
      for (let round = 0; round < ROUNDS; round++) {
        held.push(await history.go());
        while (held.length > 0 && random.chance(0.7)) {
          const [batch] = held.splice(random.whole(0, held.length - 1), 1);
          const message = eventsMessage(random.chance(0.9) ? epoch : crypto.randomUUID(), JSON.stringify(batch));
          if (random.chance(0.15)) continue;
          await bus.append("events", crypto.randomUUID(), message);
          if (random.chance(0.3)) await bus.append("events", crypto.randomUUID(), message);
        }
        if (random.chance(0.1)) {
          await two[Symbol.asyncDispose]();
          two = begin();
        }
        if (random.chance(0.1)) await sql.script("delete from stats.position; delete from stats.days");
        if (random.chance(0.2)) await foldEvents(sql, random.whole(1, 30));
        if (round % 20 === 19) {
          await settled(sql, store);
          await compare(store, history, `after round ${round}`);
        }
      }
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();

      // Stopped for so long that the next events were deleted from the ledger.
      for (let i = 0; i < 10; i++) await history.go();
      while (await foldEvents(sql, 7) === 7);
      await sql.execute(
        `insert into consumers (name, seq) select 'notifications', seq from sequencer
          on conflict (name) do update set seq = excluded.seq`,
      );
      while (await pruneEvents(sql, 1, 100) > 0);
      assert.deepEqual(await sql.query("select 1 from events"), []);
      await history.go();
      one = begin();
      await settled(sql, store);
      await compare(store, history, "after a long stop");
      await one[Symbol.asyncDispose]();
    },
  );
}

Deno.test("malformed messages and those of another history are ignored; another history causes a rebuild", async () => {
  await using sql = await openTestDatabase();
  const store = await prepare(sql);
  await using bus = new LocalBus({ retryMs: 10 });
  const { epoch } = await sequencerState(sql);
  const page = PAGES[0]!;
  const event: SequencedEvent = {
    seq: 1,
    kind: "post.created",
    page_id: page,
    post_id: null,
    user_id: null,
    data: { counts: { posts: 1 } },
    at: "2026-03-01T10:00:00Z",
  };
  const posts = async () => (await store.changes(page, "2026-03-01", "2026-03-01")).days.get("2026-03-01")?.posts;
  // The numbers right after a message. The ledger does not have the event, so it corrects them later.
  const taken: (number | undefined)[] = [];
  const apply = store.apply.bind(store);
  store.apply = async (...args) => {
    const moved = await apply(...args);
    if (moved) taken.push(await posts());
    return moved;
  };
  await using _stats = new Stats({ store, ledger: sql, bus, log });
  await settled(sql, store);
  await bus.append("events", "1", eventsMessage(crypto.randomUUID(), JSON.stringify([event])));
  await bus.append("events", "2", eventsMessage(epoch, JSON.stringify([{ ...event, seq: 3 }])));
  // Of strangers. Repeated until it is accepted, each would hold up what follows.
  const malformed = ["{", "null", "[]", eventsMessage(epoch, "null"), eventsMessage(epoch, "[null]")];
  for (const [i, message] of malformed.entries()) await bus.append("events", `malformed ${i}`, message);
  await sleep(100);
  assert.deepEqual([await posts(), taken], [undefined, []]);
  publish(bus, epoch, [event]);
  await until("it is counted", () => taken.includes(1));
  // A restore has this effect.
  await until("the numbers are those of the ledger", async () => await posts() === undefined);
  await sql.execute("update sequencer set epoch = gen_random_uuid()");
  await settled(sql, store);
});

Deno.test("a rebuild shows the old numbers until it is done, and fails if the days have changed", async () => {
  await using sql = await openTestDatabase();
  const store = await prepare(sql);
  const page = PAGES[0]!;
  await sql.execute(
    "insert into page_days (page_id, day, posts) select $1, date '2026-01-01' + i, 1 from generate_series(0, 9) i",
    [page],
  );
  await rebuild(store, sql);
  const total = async () => (await store.changes(page, "2027-01-01", "2027-01-01")).before.posts;
  assert.equal(await total(), 10);
  const build = crypto.randomUUID();
  await store.prepare(build, [{ ...nothing(), page_id: page, day: "2026-01-01", posts: 3 }]);
  assert.equal(await total(), 10, "an unfinished rebuild is not shown");
  const moving: Sql = Object.assign(Object.create(sql) as Sql, {
    query: async (text: string, params?: [], label?: string) => {
      const rows = await sql.query(text, params, label);
      // The lock has expired, and another process has counted.
      if (label === "page_days.after") await sql.execute("update consumers set seq = seq + 1 where name = 'page_days'");
      return rows;
    },
  });
  await assert.rejects(rebuild(store, moving), /changed while they were copied/);
  assert.equal(await total(), 10);
});

Deno.test("of two concurrent rebuilds the slower one resets nothing", async () => {
  await using sql = await openTestDatabase();
  const store = await prepare(sql);
  await sql.execute("insert into page_days (page_id, day, posts) values ($1, '2026-01-01', 1)", [PAGES[0]!]);
  const total = async () => (await store.changes(PAGES[0]!, "2027-01-01", "2027-01-01")).before.posts;
  const first = await rebuild(store, sql, "nowhere");
  const now = { ...first, seq: first.seq + 1 };
  const more: SequencedEvent = {
    ...{ seq: now.seq, kind: "post.created", page_id: PAGES[0]!, post_id: null, user_id: null },
    ...{ data: { counts: { posts: 1 } }, at: "2026-01-01T10:00:00Z" },
  };
  assert.ok(await store.apply(first, [more]));
  for (const instead of ["nowhere", first] as const) {
    await rebuild(store, sql, instead);
    assert.deepEqual([await store.position(), await total()], [now, 2]);
  }
  assert.deepEqual(await sql.query("select 1 from stats.building"), []);
  await rebuild(store, sql, now);
  assert.deepEqual([await store.position(), await total()], [first, 1]);
  await store.apply(first, [more]);
  await rebuild(store, sql);
  assert.deepEqual([await store.position(), await total()], [first, 1], "a forced rebuild replaces any state");
});

Deno.test("while the days are locked, no event is counted", async () => {
  await using sql = await openTestDatabase();
  await prepare(sql);
  await sql.script(
    `insert into events (seq, kind, page_id, data, at) values (1, 'post.created', '${
      PAGES[0]
    }', '{"counts": {"posts": 1}}', now());
    update sequencer set seq = 1; update consumers set held_until = now() + interval '1 hour' where name = 'page_days'`,
  );
  assert.equal(await foldEvents(sql, 10), 0);
  await sql.execute("update consumers set held_until = now() - interval '1 second'");
  assert.equal(await foldEvents(sql, 10), 1);
  assert.equal(await foldEvents(sql, 10), 0);
  assert.equal((await sql.query("select 1 from page_days")).length, 1);
  // The page does not exist, so its days are deleted.
  assert.deepEqual(await recountDays(sql), []);
  assert.deepEqual(await sql.query("select 1 from page_days"), []);
});
