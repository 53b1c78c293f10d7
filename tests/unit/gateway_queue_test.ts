import assert from "node:assert/strict";
import type { SequencedEvent } from "../../db/event.ts";
import { type GatewayItem, GatewayQueue } from "../../live/gateway_queue.ts";

const events = (...seqs: number[]): GatewayItem => ({
  events: seqs.map((seq): SequencedEvent => ({
    ...{ seq, kind: "page.updated", page_id: null, post_id: null },
    ...{ user_id: null, data: null, at: "" },
  })),
});

Deno.test("GatewayQueue keeps the order of items, and one position of events that nobody receives", () => {
  const queue = new GatewayQueue();
  const beats: GatewayItem = { beats: true };
  for (const item of [events(1, 2), events(3), beats, events(4), { position: 5 }, { position: 6 }]) queue.push(item);
  assert.equal(queue.events, 4);
  assert.deepEqual(queue.shift(), events(1, 2));
  assert.equal(queue.events, 2);
  queue.forgetEvents();
  assert.equal(queue.events, 0);
  queue.push({ position: 7 });
  queue.push(events(8));
  const rest = Array.from({ length: 4 }, () => queue.shift());
  assert.deepEqual(rest, [{ position: 3 }, beats, { position: 7 }, events(8)]);
  assert.equal(queue.shift(), undefined);
  assert.equal(queue.events, 0);
});
