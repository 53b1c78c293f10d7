import assert from "node:assert/strict";
import type { SequencedEvent } from "../../db/event.ts";
import type { Sql } from "../../db/sql.ts";
import { Log } from "../../lib/log.ts";
import { type Consumers, deliver } from "../../live/consumers.ts";
import { EventStream } from "../../live/event_stream.ts";

const event: SequencedEvent = {
  seq: 1,
  kind: "page.updated",
  page_id: null,
  post_id: null,
  user_id: null,
  data: null,
  at: "",
};
const ledger = { query: () => Promise.resolve([{ epoch: "h", seq: 0, floor: 0 }]) } as unknown as Sql;

Deno.test("An event reaches the caches, then the sockets, then the rest, and then who waits for it, in whatever order these came up", async () => {
  const reached: string[] = [];
  const consumers: Consumers = {};
  const stream = await EventStream.open(ledger, new Log("error"), (events) => deliver(consumers, events));
  for (const name of ["notifications", "vk", "gateway", "accounts", "actors"] as const) {
    consumers[name] = (events) => {
      assert.deepEqual([events, stream.position], [[event], 1]);
      reached.push(name);
    };
  }
  const waiting = stream.applied(1).then(() => reached.push("who waits"));
  stream.offer([event]);
  await waiting;
  assert.deepEqual(reached, ["actors", "accounts", "gateway", "vk", "notifications", "who waits"]);
  await stream[Symbol.asyncDispose]();
});

Deno.test("A node without some of the parts delivers to those it has", () => {
  const reached: string[] = [];
  deliver({ gateway: () => void reached.push("gateway") }, [event]);
  assert.deepEqual(reached, ["gateway"]);
});
