import assert from "node:assert/strict";
import type { SequencedEvent } from "../../db/event.ts";
import type { Sql } from "../../db/sql.ts";
import type { EventStream } from "../../live/event_stream.ts";
import { Gateway, MAX_QUEUED_EVENTS } from "../../live/gateway.ts";
import { Log } from "../../lib/log.ts";
import type { Caller } from "../../actors/account_cache.ts";
import { seqOf } from "../support/listener.ts";
import { within } from "../../lib/sleep.ts";
import { until } from "../support/wait.ts";

const PAGE = "p";
const HISTORY = "history";

interface Joining {
  role?: Caller["role"];
  /** The event of its cursor. */
  from?: number;
  /** Bytes that its peer has not received. */
  buffered?: number;
}

/** A stream and a database whose answers the test controls. */
class World {
  readonly events: SequencedEvent[] = [];
  position = 10;
  /** The next snapshot of a joining socket's pages. */
  snapshot = { seq: 10, pages: [{ id: PAGE, visible: true }] };
  /** What the listeners of each account missed. */
  readonly missed = new Map<string, SequencedEvent[]>();
  /** Names of statements that fail. */
  readonly failing = new Set<string>();
  /** Held statements, by name. */
  readonly gates = new Map<string, Promise<void>>();
  readonly gateway: Gateway;
  #leaving: (() => void)[] = [];

  constructor(heartbeatMs?: number) {
    const stream = {
      historyId: HISTORY,
      position: this.position,
      since: (seq: number) => this.events.filter((event) => event.seq > seq),
    };
    const sql = { query: (_: string, params: unknown[], name: string) => this.#answer(name, params) };
    const lease = { holds: true };
    const parts = [sql as unknown as Sql, stream as unknown as EventStream, new Log("error"), lease] as const;
    this.gateway = new Gateway(...parts, heartbeatMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const leave of this.#leaving) leave();
    await this.gateway[Symbol.asyncDispose]();
  }

  happen = (events: SequencedEvent[]): void => {
    this.events.push(...events);
    this.gateway.offer(events);
  };

  hold(name: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gates.set(name, promise);
    return () => {
      this.gates.delete(name);
      resolve();
    };
  }

  /** The frames of a listener, as `type post` or `type page`. It missed everything after the event `from`. */
  listen(id: string, { role = "user", from, buffered = 0 }: Joining = {}) {
    const received: string[] = [];
    const beats: number[] = [];
    const hellos: number[] = [];
    const closes: number[] = [];
    const socket = {
      readyState: WebSocket.OPEN as number,
      bufferedAmount: buffered,
      send: (text: string) => {
        const { type, cursor, data } = JSON.parse(text);
        if (type === "hello") hellos.push(seqOf(cursor));
        if (type === "heartbeat") beats.push(seqOf(cursor));
        if (data) received.push(`${type} ${type.startsWith("post.") ? data.id : data.page_id}`);
      },
      close: (code: number) => void closes.push(code),
    };
    const caller = { id, sid: "s", role, verified: true } as Caller;
    const cursor = from === undefined ? undefined : { historyId: HISTORY, seq: from };
    const joined = this.gateway.join(socket, caller, cursor, () => Promise.resolve(true));
    void joined.then((connection) => this.#leaving.push(() => this.gateway.leave(connection)));
    return { socket, received, beats, hellos, closes, joined };
  }

  async #answer(name: string, params: unknown[]): Promise<unknown[]> {
    // A statement sees the state at its begin.
    const { snapshot, position } = this;
    await this.gates.get(name);
    if (this.failing.has(name)) throw new Error("unavailable");
    if (name === "feed.listener_snapshot") return [snapshot];
    if (name === "sequencer.state") return [{ epoch: HISTORY, seq: position, floor: 0 }];
    if (name === "event.replay") {
      const [user, after, upTo, limit] = params as [string, number, number, number];
      return (this.missed.get(user) ?? []).filter(({ seq }) => seq > after && seq <= upTo).slice(0, limit);
    }
    assert.equal(name, "event.live_posts");
    return (params[1] as string[]).map((id) => ({ id, page_id: PAGE, author: {}, photos: [], reply_to: null }));
  }
}

const about = { page_id: PAGE, post_id: null, user_id: null, data: null, at: "" };
const post = (seq: number): SequencedEvent => ({ ...about, seq, kind: "post.created", post_id: `post ${seq}` });
const blocked = (seq: number): SequencedEvent => ({ ...about, seq, kind: "page.hidden", data: { reason: "blocked" } });
const shown = (seq: number): SequencedEvent => ({ ...about, seq, kind: "page.shown" });
const following = (seq: number, user_id: string, state: string): SequencedEvent => ({
  ...about,
  seq,
  kind: "follow.changed",
  user_id,
  data: { state },
});
const removed = (seq: number, user_id: string): SequencedEvent[] => [
  { ...about, seq, kind: "page.hidden", user_id, data: { reason: "removed" } },
  following(seq + 1, user_id, "none"),
];
const passed = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("Gateway does not hide a page from a joining socket if it is visible when its pages are read", async () => {
  await using world = new World();
  const first = world.listen("first");
  await first.joined;
  // The loop waits for the posts of the first event; the other events wait behind it.
  const release = world.hold("event.live_posts");
  world.happen([post(11)]);
  world.happen([blocked(12), shown(13)]);
  world.snapshot = { seq: 13, pages: [{ id: PAGE, visible: true }] };
  const second = world.listen("second");
  await passed();
  release();
  await second.joined;
  world.happen([post(14)]);
  await passed();
  assert.deepEqual(second.received, ["post.created post 14"]);
  assert.deepEqual(first.received, ["post.created post 11", "page.hidden p", "page.shown p", "post.created post 14"]);
});

Deno.test("Gateway hides a page blocked after its pages were read from a joining socket, except staff", async () => {
  await using world = new World();
  await world.listen("first").joined;
  // The snapshot from before the block arrives after the loop has processed the block.
  const release = world.hold("feed.listener_snapshot");
  const second = world.listen("second");
  const staff = world.listen("staff", { role: "moderator" });
  await passed();
  world.snapshot = { seq: 12, pages: [{ id: PAGE, visible: false }] };
  world.happen([blocked(11), post(12)]);
  await passed();
  release();
  await Promise.all([second.joined, staff.joined]);
  world.happen([post(13), shown(14), post(15)]);
  await passed();
  assert.deepEqual(second.received, ["page.hidden p", "page.shown p", "post.created post 15"]);
  assert.deepEqual(staff.received, [
    ...["page.hidden p", "post.created post 12", "post.created post 13"],
    ...["page.shown p", "post.created post 15"],
  ]);
});

Deno.test("Gateway renews the cursors of idle listeners, but not of a joining socket with missing events", async () => {
  await using world = new World(5);
  const idle = world.listen("idle");
  await idle.joined;
  await until("a heartbeat", () => idle.beats.at(-1) === 10);
  const release = world.hold("event.live_posts");
  world.happen([post(11)]);
  const beats = idle.beats.length;
  await passed();
  await passed();
  assert.equal(idle.beats.length, beats, "the cursor does not pass an event that is being read");
  release();
  await until("the next heartbeat", () => idle.beats.at(-1) === 11);
  assert.deepEqual(idle.received, ["post.created post 11"]);
  const stop = world.hold("feed.listener_snapshot");
  const joining = world.listen("joining");
  await passed();
  await passed();
  assert.deepEqual(joining.beats, []);
  stop();
  await joining.joined;
  await until("its first heartbeat", () => joining.beats.length > 0);
});

Deno.test("Gateway lets others join while sockets that catch up are slow to receive", async () => {
  await using world = new World();
  world.missed.set("slow", [1, 2, 3].map(post));
  // As many as may read at the same time; each has a queue of which more than a quarter is full.
  const slow = Array.from({ length: 16 }, () => world.listen("slow", { from: 0, buffered: 512 * 1024 }));
  await until("their hellos", () => slow.every(({ hellos }) => hellos.length > 0));
  const other = world.listen("other");
  await until("another listener has joined", () => other.hellos.length > 0, { timeoutMs: 2_000 });
  await other.joined;
  world.happen([post(11)]);
  await until("a live frame", () => other.received.length > 0);
  assert.deepEqual(other.received, ["post.created post 11"]);
  for (const { socket } of slow) socket.bufferedAmount = 0;
  await Promise.all(slow.map(({ joined }) => joined));
  for (const { received } of slow) {
    assert.deepEqual(received, [1, 2, 3, 11].map((seq) => `post.created post ${seq}`));
  }
});

Deno.test("Gateway pauses a replay for a socket that does not take it, and sends each event once", async () => {
  await using world = new World();
  const sent = Array.from({ length: 600 }, (_, i) => i + 1);
  world.position = 700;
  world.snapshot.seq = 700;
  world.missed.set("slow", sent.map(post));
  const slow = world.listen("slow", { from: 0 });
  const { send } = slow.socket;
  // Each frame fills the queue, which is empty again a moment later.
  slow.socket.send = (text) => {
    send(text);
    slow.socket.bufferedAmount += 20 * 1024;
  };
  const draining = setInterval(() => slow.socket.bufferedAmount = 0, 1);
  await slow.joined;
  clearInterval(draining);
  assert.deepEqual(slow.received, sent.map((seq) => `post.created post ${seq}`));
});

Deno.test("Gateway sends no more posts of a replay after the follower was removed, also to staff", async () => {
  await using world = new World();
  const slow = (["user", "moderator"] as const).map((role) => {
    world.missed.set(role, [1, 2, 3].map(post));
    return world.listen(role, { role, from: 0, buffered: 512 * 1024 });
  });
  await until("their hellos", () => slow.every(({ hellos }) => hellos.length > 0));
  await passed();
  world.happen([...removed(11, "user"), ...removed(13, "moderator")]);
  await passed();
  for (const { socket } of slow) socket.bufferedAmount = 0;
  await Promise.all(slow.map(({ joined }) => joined));
  world.happen([post(15)]);
  await passed();
  for (const { received } of slow) assert.deepEqual(received, ["page.hidden p", "following.changed p"]);
});

Deno.test("Gateway withdraws a page from a joining socket if its follower is removed during the read", async () => {
  await using world = new World();
  world.missed.set("second", [post(1)]);
  const release = world.hold("feed.listener_snapshot");
  const second = world.listen("second", { from: 0 });
  await passed();
  world.happen(removed(11, "second"));
  await passed();
  release();
  await second.joined;
  world.happen([post(13), following(14, "second", "following"), post(15)]);
  await passed();
  assert.deepEqual(second.received, [
    ...["page.hidden p", "following.changed p"],
    ...["following.changed p", "post.created post 15"],
  ]);
});

Deno.test("Gateway keeps a page of a joining socket that is followed again by the time of the read", async () => {
  await using world = new World();
  await world.listen("first").joined;
  // The loop waits for the posts of the first event; the other events wait behind it.
  const release = world.hold("event.live_posts");
  world.happen([post(11)]);
  world.happen([following(12, "second", "none"), following(13, "second", "following")]);
  world.snapshot = { seq: 13, pages: [{ id: PAGE, visible: true }] };
  world.missed.set("second", [post(1)]);
  const second = world.listen("second", { from: 0, buffered: 512 * 1024 });
  await until("its hello", () => second.hellos.length > 0);
  release();
  await passed();
  second.socket.bufferedAmount = 0;
  await second.joined;
  assert.deepEqual(second.received, ["post.created post 1"]);
});

Deno.test("Gateway stops reading for listeners that are gone, and keeps no events while nobody listens", async () => {
  await using world = new World();
  const first = world.listen("first");
  await first.joined;
  world.failing.add("event.live_posts");
  world.happen([post(11)]);
  world.happen([post(12), post(13)]);
  await passed();
  assert.equal(world.gateway.queuedEvents, 2);
  world.gateway.closeAll();
  assert.equal(world.gateway.queuedEvents, 0);
  world.happen([post(14)]);
  assert.equal(world.gateway.queuedEvents, 0);
  // The reads still fail, so the loop continues only if it gives them up.
  world.snapshot.seq = 14;
  const second = world.listen("second");
  const isLive = second.joined.then(() => true);
  assert.ok(await within(10_000, isLive), "the loop continues");
  world.failing.clear();
  world.missed.set("third", [11, 12, 13, 14].map(post));
  const third = world.listen("third", { from: 10 });
  await third.joined;
  world.happen([post(15)]);
  await until("the live event", () => third.received.length === 5);
  assert.deepEqual(first.received, []);
  assert.deepEqual(second.received, ["post.created post 15"]);
  assert.deepEqual(third.received, [11, 12, 13, 14, 15].map((seq) => `post.created post ${seq}`));
});

Deno.test("Gateway closes all sockets if too many events wait, and their clients resume without a gap", async () => {
  await using world = new World();
  const first = world.listen("first");
  await first.joined;
  const release = world.hold("event.live_posts");
  world.happen([post(11)]);
  await passed();
  const other = (seq: number): SequencedEvent => ({ ...about, seq, kind: "account.changed", page_id: null });
  const last = 11 + MAX_QUEUED_EVENTS;
  world.gateway.offer(Array.from({ length: MAX_QUEUED_EVENTS }, (_, i) => other(12 + i)));
  assert.deepEqual(first.closes, [], "as many may wait");
  world.gateway.offer([other(last + 1)]);
  assert.deepEqual(first.closes, [1012]);
  assert.equal(world.gateway.queuedEvents, 0);
  world.snapshot.seq = last + 1;
  world.position = last + 1;
  world.missed.set("first", [post(11)]);
  const again = world.listen("first", { from: 10 });
  await passed();
  release();
  await again.joined;
  world.happen([post(last + 2)]);
  await until("the live event", () => again.received.length === 2);
  assert.deepEqual(again.received, ["post.created post 11", `post.created post ${last + 2}`]);
  assert.deepEqual(first.received, []);
});
