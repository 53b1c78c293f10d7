/** What a node does with the calls of others. */
import assert from "node:assert/strict";
import type { NodeAnswer, NodeCall } from "../../actors/runtime/node_calls.ts";
import { type Command, Moved } from "../../actors/runtime/protocol.ts";
import { CallServer } from "../../actors/runtime/serve_calls.ts";
import { MAX_REQUEST_BYTES } from "../../lib/bus/bus.ts";
import { AppError } from "../../lib/errors.ts";
import { type Answer, FakeActors, quiet, REF, soon, Stream, THERE } from "../support/node_world.ts";

class World implements Disposable {
  readonly actors: FakeActors;
  readonly stream = new Stream(5);
  /** The clock of the database. */
  readonly clock = { databaseTime: 1_000_000 };
  readonly server: CallServer;

  constructor(answer: Answer = () => Promise.resolve("value")) {
    this.actors = new FakeActors(answer);
    const { actors, stream, clock } = this;
    this.server = new CallServer({ id: THERE, actors, stream, directory: clock, log: quiet });
  }

  call(fields: Partial<NodeCall> = {}): Promise<NodeAnswer> {
    const deadline = this.clock.databaseTime + 4_000;
    return this.server.answer({ id: "c", to: THERE, ref: REF, command: { type: "x" }, deadline, after: 5, ...fields });
  }

  [Symbol.dispose](): void {
    this.server[Symbol.dispose]();
  }
}

/** The value, `moved`, or the code of the refusal. */
function word({ reply }: NodeAnswer): unknown {
  return reply.ok ? reply.value : "moved" in reply ? "moved" : reply.refusal.code;
}

Deno.test("A call is answered with the position of the node's events", async () => {
  using world = new World();
  world.stream.moveTo(7);
  assert.deepEqual(await world.call(), { reply: { ok: true, value: "value" }, seq: 7 });
});

Deno.test("A call whose event does not arrive in time is answered with that event", async () => {
  using world = new World(async () => {
    await world.stream.applied(9);
    return "value";
  });
  world.stream.gaveUp = true;
  const { seq } = await world.call();
  assert.deepEqual([seq, world.stream.position], [9, 5]);
});

Deno.test("A call has the time until its deadline by the database's clock", async () => {
  using world = new World();
  await world.call({ receipt: "r" });
  const [{ options }] = world.actors.asked as [typeof world.actors.asked[0]];
  assert.equal(options?.receipt, "r");
  assert.ok(options!.timeoutMs! > 3_500 && options!.timeoutMs! <= 4_000, `${options!.timeoutMs}`);
});

Deno.test("A call after its deadline is not started", async () => {
  using world = new World();
  assert.equal(word(await world.call({ deadline: world.clock.databaseTime })), "outcome-unknown");
  assert.equal(world.actors.asked.length, 0);
});

Deno.test("A call to another node is not started, as after a restart at the same address", async () => {
  using world = new World();
  assert.equal(word(await world.call({ to: "00000009" })), "outcome-unknown");
  assert.equal(world.actors.asked.length, 0);
});

Deno.test("An actor that is not here is answered as moved", async () => {
  using world = new World(() => Promise.reject(new Moved()));
  assert.equal(word(await world.call()), "moved");
});

Deno.test("A fault reveals no details", async () => {
  using world = new World(() => Promise.reject(new Error("a secret")));
  assert.deepEqual((await world.call()).reply, { ok: false, refusal: { code: "internal" } });
});

Deno.test("A refusal keeps its fields", async () => {
  const errors = [{ path: "a", rule: "b", message: "c" }];
  using world = new World(() => Promise.reject(new AppError("validation", "words", { errors, retryAfter: 7 })));
  const refusal = { code: "validation", detail: "words", errors, retryAfter: 7 };
  assert.deepEqual((await world.call()).reply, { ok: false, refusal });
});

Deno.test("Actors that stay behind the asking node are not asked", async () => {
  using world = new World();
  world.stream.gaveUp = true;
  assert.equal(word(await world.call({ after: 9 })), "overloaded");
  assert.equal(world.actors.asked.length, 0);
});

const MALFORMED: [field: string, fields: Record<string, unknown>][] = [
  ["id", { id: 7 }],
  ["to", { to: null }],
  ["ref", { ref: null }],
  ["ref", { ref: { ...REF, kind: "planet" } }],
  ["ref", { ref: { ...REF, kind: "toString" } }],
  ["ref", { ref: { ...REF, id: REF.id.toUpperCase() } }],
  // As a text it would be an id.
  ["ref", { ref: { ...REF, id: [REF.id] } }],
  ["command", { command: null }],
  ["command", { command: [] }],
  ["command", { command: {} }],
  ["command", { command: { type: { toString: null } } }],
  ["receipt", { receipt: 5 }],
  ["origin", { origin: null }],
  ["origin", { origin: { id: "r", traceparent: 5 } }],
  ["deadline", { deadline: NaN }],
  ["deadline", { deadline: null }],
  ["deadline", { deadline: "1000000" }],
  ["deadline", { deadline: 1e300 }],
  ["after", { after: undefined }],
  ["after", { after: Infinity }],
];

for (const [field, fields] of MALFORMED) {
  const what = Deno.inspect(fields, { breakLength: Infinity });
  Deno.test(`A call is refused for a malformed ${field}: ${what}`, async () => {
    using world = new World();
    const { reply } = await world.call(fields as Partial<NodeCall>);
    const detail = `The call from another node has a malformed field: ${field}`;
    assert.deepEqual(reply, { ok: false, refusal: { code: "internal", detail } });
    assert.equal(world.actors.asked.length, 0);
    assert.equal(word(await world.call()), "value", "its id is not remembered");
  });
}

Deno.test("What is no call is refused", async () => {
  using world = new World();
  for (const received of [null, undefined, 5, "call", [], {}]) {
    assert.equal(word(await world.server.answer(received)), "internal");
    assert.equal(world.server.isFor(received), false);
  }
});

Deno.test("A call that arrives twice is done once, and both get its answer", async () => {
  const gate = Promise.withResolvers<string>();
  using world = new World(() => gate.promise);
  const both = [world.call(), world.call()];
  await soon();
  gate.resolve("value");
  assert.deepEqual((await Promise.all(both)).map(word), ["value", "value"]);
  assert.equal(word(await world.call()), "value", "it is kept for a while");
  assert.equal(word(await world.call({ id: "another" })), "value");
  assert.equal(world.actors.asked.length, 2);
});

Deno.test("A repetition is not done either once the answer is forgotten", async () => {
  using world = new World();
  await world.call();
  const { now } = performance;
  performance.now = () => now.call(performance) + 3_000;
  try {
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.equal(word(await world.call()), "outcome-unknown");
  } finally {
    performance.now = now;
  }
  assert.equal(world.actors.asked.length, 1);
});

Deno.test("The longest commands of callers fit the limit", () => {
  const id = crypto.randomUUID();
  // A control character takes most bytes of all, as it is escaped.
  const words = (length: number) => "\u0001".repeat(length);
  const photo = { id, key: words(200), staged_key: words(200), name: words(200), alt: words(1_000) };
  const post = {
    text: words(4_000),
    place: words(200),
    tagged: Array.from({ length: 50 }, () => id),
    tagged_logins: Array.from({ length: 50 }, () => words(64)),
    photos: Array.from({ length: 10 }, () => photo),
  };
  const answered = { user_ids: Array.from({ length: 1_000 }, () => id) };
  const page = { description: words(2_000), name: words(80), tags: Array.from({ length: 30 }, () => words(30)) };
  for (const command of [post, answered, page]) {
    const call: NodeCall = { id, to: id, ref: REF, command: command as unknown as Command, deadline: 0, after: 0 };
    const { length } = new TextEncoder().encode(JSON.stringify(call));
    assert.ok(length < MAX_REQUEST_BYTES / 2, `${length} bytes`);
  }
});
