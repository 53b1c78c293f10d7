import assert from "node:assert/strict";
import { TurnEvents } from "../../actors/runtime/turn_events.ts";
import { event } from "../support/counter_actor.ts";

Deno.test("Each turn gets the events since its own beginning, however turns overlap", () => {
  const events = new TurnEvents<string>();
  const add = (...seqs: number[]) => seqs.forEach((seq) => events.add(event({ seq })));
  const end = (turn: string) => events.end(turn).map(({ seq }) => seq);
  add(1);
  events.begin("a");
  add(2);
  events.begin("b");
  add(3);
  assert.deepEqual([end("a"), end("a")], [[2, 3], []]);
  events.begin("a");
  add(4);
  assert.deepEqual([end("b"), end("a")], [[3, 4], [4]]);
  add(5);
  events.begin("c");
  assert.deepEqual(end("c"), []);
});

Deno.test("Events are removed while turns overlap without an end", () => {
  const events = new TurnEvents<number>();
  events.begin(0);
  for (let turn = 1; turn <= 10_000; turn++) {
    events.add(event({ seq: turn }));
    events.begin(turn);
    assert.deepEqual(events.end(turn - 1).map(({ seq }) => seq), [turn]);
    assert.ok(events.size <= 1_024);
  }
});
