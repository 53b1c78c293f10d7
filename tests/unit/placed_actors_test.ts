/** Calls to the actors of all nodes, wherever their partitions are. */
import assert from "node:assert/strict";
import { type Command, Moved } from "../../actors/runtime/protocol.ts";
import { type Bus, MAX_REQUEST_BYTES, NobodyThere, NoReply } from "../../lib/bus/bus.ts";
import { AppError } from "../../lib/errors.ts";
import { type Answer, HERE, NodeWorld, REF, refusal, soon, THERE, THIRD } from "../support/node_world.ts";

const value: Answer = () => Promise.resolve("value");

/** With a bus whose requests do as the test says. */
const withRequest = (request: (bus: Bus, ...call: Parameters<Bus["request"]>) => Promise<string>) => (bus: Bus): Bus =>
  Object.assign(Object.create(bus), { request: (...call: Parameters<Bus["request"]>) => request(bus, ...call) });

Deno.test("A command reaches the owner with its receipt and remaining time, and its value is returned", async () => {
  await using world = new NodeWorld(() => Promise.resolve({ done: ["ж", null] }));
  await world.serve();
  assert.deepEqual(await world.ask({ type: "like" }, { timeoutMs: 4_000, receipt: "r" }), { done: ["ж", null] });
  const [{ ref, command, options }] = world.actors.asked as [typeof world.actors.asked[0]];
  assert.deepEqual([ref, command, options?.receipt], [REF, { type: "like" }, "r"]);
  assert.ok(options!.timeoutMs! > 3_500 && options!.timeoutMs! <= 4_001, `${options!.timeoutMs}`);
  assert.equal(world.local.asked.length, 0);
});

Deno.test("A command for an actor of this node stays here", async () => {
  await using world = new NodeWorld(value);
  world.mine.accepts = true;
  assert.equal(await world.ask(), "from here");
  assert.equal(world.arrived.length, 0);
});

Deno.test("A feed is read here, also if another node has its partition", async () => {
  await using world = new NodeWorld(value);
  assert.equal(await world.placed.ask({ kind: "feed", id: REF.id }, { type: "first_page" }), "from here");
  assert.equal(world.arrived.length, 0);
});

Deno.test("A refusal is returned unchanged", async () => {
  const errors = [{ path: "a", rule: "b", message: "c" }];
  await using world = new NodeWorld(() =>
    Promise.reject(new AppError("validation", "words", { errors, retryAfter: 7 }))
  );
  await world.serve();
  const { code, message, errors: fields, retryAfter } = await refusal(world.ask());
  assert.deepEqual([code, message, fields, retryAfter], ["validation", "words", errors, 7]);
});

Deno.test("The answer waits until the asking node has its events", async () => {
  await using world = new NodeWorld(value);
  await world.serve();
  world.there.moveTo(12);
  let answered = false;
  const asking = world.ask().then(() => answered = true);
  await soon();
  assert.equal(answered, false);
  world.here.moveTo(12);
  await asking;
});

Deno.test("The owner is asked once it has the asking node's events", async () => {
  await using world = new NodeWorld(value);
  await world.serve();
  world.here.moveTo(9);
  const asking = world.ask();
  await soon();
  assert.equal(world.actors.asked.length, 0);
  world.there.moveTo(9);
  assert.equal(await asking, "value");
});

Deno.test("An actor that has moved is asked again at its new owner", async () => {
  await using world = new NodeWorld(() => Promise.reject(new Moved()));
  await world.serve();
  await world.bus.serve(
    `rookery.node.h.${THIRD}`,
    () => Promise.resolve(JSON.stringify({ reply: { ok: true, value: "from the third" }, seq: 5 })),
  );
  world.onRefresh = () => world.ownedBy(THIRD);
  assert.equal(await world.ask(), "from the third");
  assert.equal(world.actors.asked.length, 1);
});

Deno.test("An actor that moves here while it is asked is asked here", async () => {
  await using world = new NodeWorld(() => Promise.reject(new Moved()));
  await world.serve();
  world.onRefresh = () => {
    world.mine.accepts = true;
    world.ownedBy(HERE);
  };
  assert.equal(await world.ask(), "from here");
});

Deno.test("A call while nobody has the partition is retried, and succeeds when somebody takes it", async () => {
  await using world = new NodeWorld(value);
  await world.serve();
  world.ownedBy(null);
  const asking = world.ask();
  setTimeout(() => world.ownedBy(THERE), 100);
  assert.equal(await asking, "value");
  assert.equal(world.actors.asked.length, 1);
  assert.ok(world.refreshes > 0, "it looked at the directory");
});

Deno.test("A call that cannot be answered in its remaining time is refused with 503", async () => {
  await using world = new NodeWorld(value);
  world.ownedBy(null);
  const start = performance.now();
  const { code, status, retryAfter } = await refusal(world.ask(undefined, { timeoutMs: 5_300 }));
  assert.deepEqual([code, status, retryAfter], ["actors-unavailable", 503, 1]);
  assert.ok(performance.now() - start < 1_000);
});

Deno.test("Actors are out of reach while one partition has no owner with a lease", async () => {
  await using world = new NodeWorld(value);
  await world.placed.reach();
  world.ownedBy("a node that died");
  await assert.rejects(world.placed.reach(), /Partition 0/);
});

Deno.test("A node without a lease for a second refuses calls with 503, well before they end", async () => {
  await using world = new NodeWorld(value);
  world.ownedBy(null);
  world.lease.holds = false;
  const start = performance.now();
  const { status, retryAfter } = await refusal(world.ask());
  assert.deepEqual([status, retryAfter], [503, 1]);
  const took = performance.now() - start;
  assert.ok(took >= 1_000 && took < 2_500, `${took} ms`);
});

Deno.test("A call that certainly reached nobody is sent again under the same conditions", async () => {
  let tries = 0;
  const request = (bus: Bus, ...call: Parameters<Bus["request"]>) =>
    ++tries < 3 ? Promise.reject(new NobodyThere("expected")) : bus.request(...call);
  await using world = new NodeWorld(value, withRequest(request));
  await world.serve();
  world.directory.update({
    ...world.directory,
    nodes: [{ id: THERE, url: null, actors: true, left_ms: 60_000, started_at: "" }],
    owners: Array.from({ length: 64 }, () => ({ epoch: 1, node: THERE })),
    now_ms: Date.now(),
  });
  assert.equal(await world.ask(), "value");
  assert.deepEqual([tries, world.actors.asked.length], [3, 1]);
});

Deno.test("A call that may have been received is not sent again: its outcome is unknown", async () => {
  let sent = 0;
  const request = () => {
    sent++;
    return Promise.reject(new NoReply("none"));
  };
  await using world = new NodeWorld(value, withRequest(request));
  const { code, status } = await refusal(world.ask());
  assert.deepEqual([code, status, sent, world.arrived.length], ["outcome-unknown", 504, 1, 0]);
});

Deno.test("A call whose reply is lost goes over HTTP under the same id, and is done once", async () => {
  const never = new Promise<string>(() => {});
  const request = (bus: Bus, ...call: Parameters<Bus["request"]>) => bus.request(...call).then(() => never);
  await using world = new NodeWorld(value, withRequest(request));
  await world.serve();
  const start = performance.now();
  assert.equal(await world.ask(), "value");
  assert.ok(performance.now() - start >= 290, "the bus had its time");
  assert.deepEqual(world.arrived.map(({ over }) => over), ["bus", "http"]);
  assert.equal(new Set(world.arrived.map(({ call }) => call.id)).size, 1);
  assert.equal(world.actors.asked.length, 1);
});

Deno.test("When the lease of the asked node ends, its calls end at once with an unknown outcome", async () => {
  await using world = new NodeWorld(() => new Promise(() => {}));
  await world.serve();
  const asking = refusal(world.ask());
  await soon();
  const start = performance.now();
  world.ownedBy(THERE, [HERE]);
  const { code, status } = await asking;
  assert.deepEqual([code, status], ["outcome-unknown", 504]);
  assert.ok(performance.now() - start < 200);
});

Deno.test("An answer that a stopping node sent counts, although the node has left before it arrives", async () => {
  const answered = Promise.withResolvers<string>();
  await using world = new NodeWorld(() => answered.promise);
  await world.serve();
  const asking = world.ask();
  await soon();
  world.ownedBy(THERE, [HERE]);
  answered.resolve("value");
  assert.equal(await asking, "value");
});

Deno.test("A read whose node dies is asked again at the next owner", async () => {
  await using world = new NodeWorld(() => new Promise(() => {}));
  await world.serve();
  const reading = world.placed.ask(REF, { type: "account" }, { isRead: true });
  await soon();
  world.actors.answer = () => Promise.resolve("from the next owner");
  world.ownedBy(THERE, [HERE]);
  world.onRefresh = () => world.ownedBy(THERE);
  assert.equal(await reading, "from the next owner");
  assert.equal(world.actors.asked.length, 2);
});

Deno.test("A command over the limit is rejected and not sent", async () => {
  await using world = new NodeWorld(value);
  await world.serve();
  const command = { type: "x", text: "x".repeat(MAX_REQUEST_BYTES) } as Command;
  assert.equal((await refusal(world.ask(command))).status, 413);
  assert.equal(world.arrived.length, 0);
});

Deno.test("Calls in progress are counted and waited for", async () => {
  const gate = Promise.withResolvers<string>();
  await using world = new NodeWorld(() => gate.promise);
  await world.serve();
  const asking = world.ask();
  await soon();
  assert.equal(world.placed.waiting, 1);
  setTimeout(() => gate.resolve("value"), 50);
  await world.placed.drain(5_000);
  assert.equal(world.placed.waiting, 0);
  assert.equal(await asking, "value");
  assert.equal((await refusal(world.ask())).code, "draining");
});

Deno.test("A call of a leaving node waits for the next owner; the last node refuses it at once", async () => {
  await using world = new NodeWorld(value);
  await world.serve();
  world.isLeaving = true;
  world.ownedBy(null);
  const asking = world.ask();
  await soon();
  world.ownedBy(THERE);
  assert.equal(await asking, "value");

  world.ownedBy(null, [HERE]);
  const start = performance.now();
  assert.equal((await refusal(world.ask())).code, "draining");
  assert.ok(performance.now() - start < 200);
});
