import assert from "node:assert/strict";
import { ALL_ROLES, startApp } from "../support/app.ts";
import { Listener } from "../support/listener.ts";
import type { Person } from "../support/person.ts";
import { until } from "../support/wait.ts";

Deno.test("A cursor older than the stored events gets a reset, and one renewed by a heartbeat resumes", async () => {
  await using app = await startApp({ ...ALL_ROLES, EVENT_RETENTION: "1s" }, {
    heartbeatMs: 1_000,
    housekeepingMs: 250,
  });
  const [ann, bob] = await app.people(2) as [Person, Person];
  await app.follow(bob, ann.page_id);
  const quiet = await Listener.open(ann);
  const listener = await Listener.open(bob);
  const old = await ann.post("old");
  await listener.heard("the post", ({ data }) => data.id === old.id);
  const oldCursor = listener.hellos[0]!.cursor;
  listener.cut();
  await ann.post("deleted as well");
  await until("housekeeping has deleted the events", async () => {
    const [row] = await app.ctx.sql.query<{ n: number }>("select count(*) as n from events where seq is not null");
    return row!.n === 0;
  });
  // All events since are unrelated or delivered, and the last one was deleted.
  const beats = quiet.heartbeats;
  await until("a heartbeat", () => quiet.heartbeats > beats);
  quiet.cut();
  await quiet.connect();
  const late = await Listener.open(bob, oldCursor);
  await until("a reset", () => late.resets.length > 0);
  assert.deepEqual(late.resets, ["too-old"]);
  const fresh = await ann.post("fresh");
  await late.heard("the next post", ({ data }) => data.id === fresh.id);
  await quiet.heard("the same post", ({ data }) => data.id === fresh.id);
  assert.deepEqual(quiet.resets, []);
  assert.deepEqual(late.events.map(({ data }) => data.id), [fresh.id]);
  for (const open of [late, quiet]) open.cut();
});
