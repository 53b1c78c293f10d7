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

Deno.test("Events reach caches, then sockets, then other consumers, then waiting writes", async () => {
  const reached: string[] = [];
  const consumers: Consumers = {};
  const stream = await EventStream.open(ledger, new Log("error"), (events) => deliver(consumers, events));
  for (const name of ["notifications", "vk", "gateway", "accounts", "actors"] as const) {
    consumers[name] = (events) => {
      assert.deepEqual([events, stream.position], [[event], 1]);
      reached.push(name);
    };
  }
  const waiting = stream.applied(1).then(() => reached.push("waiting write"));
  stream.offer([event]);
  await waiting;
  assert.deepEqual(reached, ["actors", "accounts", "gateway", "vk", "notifications", "waiting write"]);
  await stream[Symbol.asyncDispose]();
});

Deno.test("Consumers that a node lacks are skipped", () => {
  const reached: string[] = [];
  deliver({ gateway: () => void reached.push("gateway") }, [event]);
  assert.deepEqual(reached, ["gateway"]);
});
