import assert from "node:assert/strict";
import type { SequencedEvent } from "../../db/event.ts";
import type { Sql } from "../../db/sql.ts";
import type { EventStream } from "../../live/event_stream.ts";
import { Gateway } from "../../live/gateway.ts";
import { Log } from "../../lib/log.ts";
import type { Caller } from "../../actors/account_cache.ts";
import { seqOf } from "../support/live_listener.ts";
import { until } from "../support/wait.ts";

const PAGE = "p";

/** A stream and a database that answer on request. */
class World {
  readonly events: SequencedEvent[] = [];
  position = 10;
  /** What the next snapshot of a joiner's pages says. */
  snapshot = { seq: 10, pages: [{ id: PAGE, visible: true }] };
  /** Statements that wait, by their names. */
  readonly gates = new Map<string, Promise<void>>();
  readonly gateway: Gateway;
  #leaving: (() => void)[] = [];

  constructor(heartbeatMs?: number) {
    const stream = {
      epoch: "history",
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

  /** The frames of a listener, as `type post` or `type page`. */
  listen(id: string, role: Caller["role"] = "user"): { heard: string[]; beats: number[]; joined: Promise<unknown> } {
    const heard: string[] = [];
    const beats: number[] = [];
    const socket = {
      readyState: WebSocket.OPEN,
      bufferedAmount: 0,
      send: (text: string) => {
        const { type, cursor, data } = JSON.parse(text);
        if (type === "heartbeat") beats.push(seqOf(cursor));
        if (data) heard.push(`${type} ${type.startsWith("post.") ? data.id : data.page_id}`);
      },
      close: () => {},
    };
    const caller = { id, sid: "s", role, verified: true } as Caller;
    const joined = this.gateway.join(socket, caller, undefined, () => Promise.resolve(true));
    void joined.then((connection) => this.#leaving.push(() => this.gateway.leave(connection)));
    return { heard, beats, joined };
  }

  async #answer(name: string, params: unknown[]): Promise<unknown[]> {
    // As a statement sees what was when it began.
    const { snapshot } = this;
    await this.gates.get(name);
    if (name === "feed.listener_snapshot") return [snapshot];
    assert.equal(name, "event.live_posts");
    return (params[1] as string[]).map((id) => ({ id, page_id: PAGE, author: {}, photos: [], reply_to: null }));
  }
}

const about = { page_id: PAGE, post_id: null, user_id: null, data: null, at: "" };
const post = (seq: number): SequencedEvent => ({ ...about, seq, kind: "post.created", post_id: `post ${seq}` });
const blocked = (seq: number): SequencedEvent => ({ ...about, seq, kind: "page.hidden", data: { reason: "blocked" } });
const shown = (seq: number): SequencedEvent => ({ ...about, seq, kind: "page.shown" });
const passed = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("Gateway sends a joining socket a page that was blocked and shown again before its pages were read", async () => {
  await using world = new World();
  const first = world.listen("first");
  await first.joined;
  // The loop waits for what it shows of the first event; the others wait behind it.
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
  assert.deepEqual(second.heard, ["post.created post 14"]);
  assert.deepEqual(first.heard, ["post.created post 11", "page.hidden p", "page.shown p", "post.created post 14"]);
});

Deno.test("Gateway sends a joining socket a block after its pages were read, and nothing of the page until it is shown again, except to staff", async () => {
  await using world = new World();
  await world.listen("first").joined;
  // What was read before the block arrives after the loop has dealt with it.
  const release = world.hold("feed.listener_snapshot");
  const second = world.listen("second");
  const staff = world.listen("staff", "moderator");
  await passed();
  world.snapshot = { seq: 12, pages: [{ id: PAGE, visible: false }] };
  world.happen([blocked(11), post(12)]);
  await passed();
  release();
  await Promise.all([second.joined, staff.joined]);
  world.happen([post(13), shown(14), post(15)]);
  await passed();
  assert.deepEqual(second.heard, ["page.hidden p", "page.shown p", "post.created post 15"]);
  assert.deepEqual(staff.heard, [
    ...["page.hidden p", "post.created post 12", "post.created post 13"],
    ...["page.shown p", "post.created post 15"],
  ]);
});

Deno.test("Gateway renews the cursors of idle listeners, but not of a joining socket with missing events", async () => {
  await using world = new World(5);
  const quiet = world.listen("quiet");
  await quiet.joined;
  await until("a heartbeat", () => quiet.beats.at(-1) === 10);
  const release = world.hold("event.live_posts");
  world.happen([post(11)]);
  const beats = quiet.beats.length;
  await passed();
  await passed();
  assert.equal(quiet.beats.length, beats, "what is being read was told to nobody yet");
  release();
  await until("the next", () => quiet.beats.at(-1) === 11);
  assert.deepEqual(quiet.heard, ["post.created post 11"]);
  const stop = world.hold("feed.listener_snapshot");
  const joining = world.listen("joining");
  await passed();
  await passed();
  assert.deepEqual(joining.beats, []);
  stop();
  await joining.joined;
  await until("its first", () => joining.beats.length > 0);
});
