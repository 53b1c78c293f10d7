import assert from "node:assert/strict";
import { CLOSE, Connection, MAX_QUEUE_BYTES } from "../../live/connection.ts";
import { type Clock, PACE_MS } from "../../live/like_throttle.ts";
import { sleep } from "../../lib/sleep.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { FakeSocket } from "../support/fake_socket.ts";

const MIN_MS = 250;

/** A clock that the test moves. */
class StoppedClock implements Clock {
  #now = 1_000;
  #timers = new Set<{ at: number; run: () => void }>();

  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  pass(ms: number): void {
    for (const end = this.#now + ms; this.#now < end;) {
      this.#now++;
      for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
        this.#timers.delete(timer);
        timer.run();
      }
    }
  }
}

function throttleTest(name: string, run: (connection: Connection, socket: FakeSocket, clock: StoppedClock) => unknown) {
  Deno.test(`A connection ${name}`, async () => {
    const [socket, clock] = [new FakeSocket(), new StoppedClock()];
    await run(new Connection(socket, "user", "session", false, { holds: true }, clock), socket, clock);
  });
}

throttleTest("sends everything at once except likes that are too early", (connection, { sent }, clock) => {
  connection.send("likes of a", "a");
  connection.send("likes of b", "b");
  connection.send("post");
  assert.deepEqual(sent, ["likes of a", "likes of b", "post"]);
  assert.equal(clock.timers, 0);
  clock.pass(PACE_MS);
  connection.send("likes of a again", "a");
  assert.equal(sent.length, 4);
});

throttleTest("holds early likes, and later frames in order", (connection, { sent }, clock) => {
  connection.send("a1", "a");
  clock.pass(100);
  connection.send("a2", "a");
  connection.send("post");
  connection.send("b1", "b");
  clock.pass(PACE_MS - 101);
  assert.deepEqual(sent, ["a1"]);
  clock.pass(1);
  assert.deepEqual(sent, ["a1", "a2", "post", "b1"]);
  assert.equal(clock.timers, 0);
});

throttleTest("measures the interval from when held likes were sent", (connection, { sent }, clock) => {
  connection.send("a1", "a");
  connection.send("a2", "a");
  clock.pass(PACE_MS);
  connection.send("a3", "a");
  clock.pass(PACE_MS - 1);
  assert.deepEqual(sent, ["a1", "a2"]);
  clock.pass(1);
  assert.deepEqual(sent, ["a1", "a2", "a3"]);
});

throttleTest(
  "drops held likes for later ones, and releases frames that waited only for them",
  (connection, { sent }, clock) => {
    connection.send("a1", "a");
    connection.send("a2", "a");
    connection.send("post");
    connection.send("a3", "a");
    assert.deepEqual(sent, ["a1", "post"]);
    clock.pass(PACE_MS);
    assert.deepEqual(sent, ["a1", "post", "a3"]);
  },
);

throttleTest("reports when all frames held so far are sent or dropped", async (connection, { sent }, clock) => {
  await connection.flushed();
  connection.send("a1", "a");
  connection.send("a2", "a");
  connection.send("post");
  let flushed = "";
  void connection.flushed().then(() => flushed = sent.join());
  connection.send("a3", "a");
  connection.send("later");
  await Promise.resolve();
  assert.equal(flushed, "a1,post", "a3 is later and does not count");
  connection.send("a4", "a");
  const closed = connection.flushed();
  clock.pass(PACE_MS - 1);
  connection.close(CLOSE.restarting, "");
  await closed;
  assert.equal(clock.timers, 0);
});

throttleTest("wakes for the first held frame, also when it changes", (connection, { sent }, clock) => {
  connection.send("b1", "b");
  clock.pass(100);
  connection.send("a1", "a");
  connection.send("a2", "a");
  connection.send("b2", "b");
  connection.send("a3", "a");
  clock.pass(PACE_MS - 100);
  assert.deepEqual(sent, ["b1", "a1", "b2"]);
  clock.pass(100);
  assert.deepEqual(sent, ["b1", "a1", "b2", "a3"]);
});

throttleTest("counts held frames towards the socket's queue limit", (connection, socket, clock) => {
  const text = "ж".repeat(MAX_QUEUE_BYTES / 8);
  connection.send("a1", "a");
  connection.send("a2", "a");
  for (let i = 0; i < 4; i++) assert.ok(connection.send(text));
  assert.equal(connection.send("one too many"), false);
  assert.equal(socket.closedWith, CLOSE.tooSlow);
  clock.pass(PACE_MS);
  assert.deepEqual(socket.sent, ["a1"]);
});

throttleTest("does not count frames that were dropped or sent", (connection, { sent }, clock) => {
  const text = "x".repeat(MAX_QUEUE_BYTES / 2);
  for (let i = 0; i < 10; i++) assert.ok(connection.send(text, "a"));
  clock.pass(PACE_MS);
  assert.equal(sent.length, 2);
  for (let i = 0; i < 10; i++) assert.ok(connection.send(text));
});

throttleTest("has not drained while many bytes are held", async (connection, _socket, clock) => {
  connection.send("a1", "a");
  connection.send("a2", "a");
  connection.send("x".repeat(MAX_QUEUE_BYTES / 2));
  let drained = false;
  const done = connection.drained().then(() => drained = true);
  await sleep(60);
  assert.equal(drained, false);
  clock.pass(PACE_MS);
  await done;
});

throttleTest("closes at once, and sends nothing held", (connection, socket, clock) => {
  connection.send("a1", "a");
  connection.send("a2", "a");
  connection.close(CLOSE.sessionEnded, "session ended");
  assert.equal(socket.closedWith, CLOSE.sessionEnded);
  assert.equal(clock.timers, 0);
  clock.pass(PACE_MS);
  assert.deepEqual(socket.sent, ["a1"]);
});

throttleTest("sends nothing held to a disconnected peer", (connection, socket, clock) => {
  connection.send("a1", "a");
  connection.send("a2", "a");
  socket.readyState = WebSocket.CLOSED;
  clock.pass(PACE_MS);
  assert.deepEqual(socket.sent, ["a1"]);
  assert.equal(clock.timers, 0);
});

throttleTest("throttles many posts at once", (connection, { sent }, clock) => {
  for (const round of [1, 2]) for (let i = 0; i < 1_000; i++) connection.send(`${round}`, `post ${i}`);
  assert.equal(sent.length, 1_000);
  clock.pass(PACE_MS);
  assert.equal(sent.length, 2_000);
  clock.pass(PACE_MS);
  // Old times may be evicted by now, recent ones may not.
  for (let i = 1_000; i < 5_000; i++) connection.send("1", `post ${i}`);
  for (let i = 1_000; i < 5_000; i++) connection.send("2", `post ${i}`);
  assert.equal(sent.length, 6_000);
});

const app = sharedApp();

Deno.test("A popular post's likes reach a listener who reconnects repeatedly at most once in 250 ms", async () => {
  using server = watchSending();
  const [ann, bob, ...fans] = await app.people(8) as [Person, Person, ...Person[]];
  await app.follow(bob, ann.page_id);
  const post = await app.post(ann);
  let atWork = true;
  const workload = Promise.all(fans.map(async ({ token }) => {
    for (let round = 0; atWork || round % 2; round++) {
      await app.ok(round % 2 ? "DELETE" : "PUT", `/posts/${post.id}/like`, { token });
    }
  }));
  let cursor: string | undefined;
  const visit = async () => {
    await using listener = await app.listen(bob.token, cursor);
    for (let frames = 0; frames < 3; frames++) ({ cursor } = await listener.next("post.likes"));
  };
  for (let visits = 0; visits < 8; visits++) {
    await visit();
    // Long enough for a replay with events, at a different phase of the interval each time.
    await sleep(300 + 30 * visits);
  }
  await using listener = await app.listen(bob.token, cursor);
  atWork = false;
  await workload;
  for (const { token } of fans.slice(0, 4)) await app.ok("PUT", `/posts/${post.id}/like`, { token });
  await listener.next(({ type, data }) => type === "post.likes" && data.like_count === 4);
  assert.ok(server.gaps.length >= 16, `only ${server.gaps.length} gaps were seen`);
  assert.deepEqual(server.gaps.filter((gap) => gap < MIN_MS), []);
});

/** Milliseconds between like frames on one socket, as the server of this process sends them. */
function watchSending(): { gaps: number[] } & Disposable {
  const gaps: number[] = [];
  const sentAt = new WeakMap<WebSocket, number>();
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (this: WebSocket, data) {
    if (typeof data === "string" && data.startsWith('{"type":"post.likes"')) {
      const [before, now] = [sentAt.get(this), performance.now()];
      if (before !== undefined) gaps.push(now - before);
      sentAt.set(this, now);
    }
    send.call(this, data);
  };
  return { gaps, [Symbol.dispose]: () => WebSocket.prototype.send = send };
}
