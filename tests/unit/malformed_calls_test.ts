/** Malformed calls to the real actors, through everything that a call passes but the network and the thread. */
import assert from "node:assert/strict";
import { feedActor } from "../../actors/feed.ts";
import { pageActor } from "../../actors/page.ts";
import { Host } from "../../actors/runtime/host.ts";
import type { NodeCall } from "../../actors/runtime/node_calls.ts";
import { type HostThread, Pool } from "../../actors/runtime/pool.ts";
import type { FromWorker, ToWorker } from "../../actors/runtime/protocol.ts";
import { CallServer } from "../../actors/runtime/serve_calls.ts";
import { userActor } from "../../actors/user.ts";
import type { Sql } from "../../db/sql.ts";
import { quiet, REF, Stream, THERE } from "../support/node_world.ts";
import { type Seeded, seededTest } from "../support/seeded.ts";

const CALLS = 300;
/** By the clock of the database. */
const NOW = 1_000_000;

/** Finds nothing and stores nothing. */
const empty: Sql = {
  query: () => Promise.resolve([]),
  execute: () => Promise.resolve([]),
  script: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** As `workers/threads/actors.ts`: messages are JSON, and an unhandled rejection would end it. */
function thread(): HostThread {
  let listener: (messages: FromWorker[]) => void = () => {};
  const ports = { committed: () => {}, outdated: () => {}, fault: () => {} };
  const host = new Host({ user: userActor(new Uint8Array(32)), page: pageActor, feed: feedActor }, empty, ports);
  const take = (message: ToWorker) => {
    if (message.type === "grant") host.grant(message.partition, message.epoch);
    if (message.type !== "ask") return;
    const { call } = message;
    const answer = (reply: Extract<FromWorker, { type: "reply" }>["reply"]) =>
      listener([{ type: "reply", call, reply }]);
    host.ask(message.ref, { ...message, arrived: Date.now(), answer });
  };
  return {
    post: (messages) => (JSON.parse(JSON.stringify(messages)) as ToWorker[]).forEach(take),
    onMessages: (listen) => listener = listen,
    onDeath: () => {},
    terminate: () => {},
  };
}

const VALUES: readonly unknown[] = [null, undefined, 0, -1, 1e300, "", "text", true, [], {}, [null], { type: 1 }, {
  toString: null,
}];

function call(random: Seeded, id: string): Record<string, unknown> {
  const kind = random.pick(["page", "user", "feed"]);
  const type = random.pick(["create", "create_post", "like", "unlike", "register", "set_role", "first_page", "x"]);
  const fields = { by: random.pick(VALUES), post: random.pick(VALUES), row: random.pick(VALUES), post_id: "p" };
  const command = { type, ...fields };
  return { id, to: THERE, ref: { kind, id: REF.id }, command, deadline: NOW + 4_000, after: 5 };
}

/** Replaces a field of the call, of its reference or of its command. */
function spoil(random: Seeded, call: Record<string, unknown>): unknown {
  if (random.chance(0.05)) return random.pick(VALUES);
  const target = random.pick([call, call["ref"], call["command"]]) as Record<string, unknown>;
  target[random.pick(Object.keys(target))] = random.pick(VALUES);
  return call;
}

seededTest("No malformed call ends a thread: each is answered, and so is the next call", async (random) => {
  const pool = await Pool.start({
    threads: 1,
    start: () => Promise.resolve(thread()),
    lease: { holds: true },
    log: quiet,
    onCommitted: () => {},
    applied: () => Promise.resolve(),
    onJobs: () => {},
    onOutdated: () => {},
    onReplaced: () => {},
  });
  await using _pool = pool;
  pool.grant(Array.from({ length: 64 }, (_, partition) => ({ partition, epoch: 1 })));
  const stream = new Stream(5);
  stream.gaveUp = true;
  using server = new CallServer({
    id: THERE,
    actors: pool,
    stream,
    directory: { databaseTime: NOW },
    log: quiet,
  });
  const spoilt = Array.from({ length: CALLS }, (_, i) => spoil(random, call(random, `call ${i}`)));
  // Several in a turn, as many as arrive at once.
  for (const received of await Promise.all(spoilt.map((each) => server.answer(each)))) {
    assert.ok(received.reply.ok || "moved" in received.reply || received.reply.refusal.code, Deno.inspect(received));
  }
  const whole: NodeCall = {
    id: "the last",
    to: THERE,
    ref: { kind: "page", id: "01890000-0000-7000-8000-00000000000b" },
    command: { type: "delete" },
    deadline: NOW + 4_000,
    after: 5,
  };
  const { reply } = await server.answer(whole);
  assert.deepEqual(reply, { ok: false, refusal: { code: "not-found", detail: "The page does not exist" } });
});
