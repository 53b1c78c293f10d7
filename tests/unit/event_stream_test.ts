import assert from "node:assert/strict";
import type { SequencedEvent } from "../../db/event.ts";
import type { Reader } from "../../db/sql.ts";
import { EventStream, MAX_EARLY_EVENTS } from "../../live/event_stream.ts";
import { Log } from "../../lib/log.ts";

const event = (seq: number): SequencedEvent => ({
  ...{ seq, kind: "page.updated", page_id: null, post_id: null },
  ...{ user_id: null, data: null, at: "" },
});

/** A ledger that holds reads of new events back. Each read has what was committed when it began. */
class HeldLedger implements Reader {
  readonly committed: SequencedEvent[] = [];
  readonly held: (() => void)[] = [];

  commit(): void {
    this.committed.push(event(this.committed.length + 1));
  }

  async query<Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
    if (text.includes("from sequencer")) return [{ epoch: "one", seq: 0, floor: 0 }] as Row[];
    const read = this.committed.filter(({ seq }) => seq > Number(params[0]));
    await new Promise<void>((resolve) => this.held.push(resolve));
    return read as Row[];
  }
}

Deno.test("EventStream catches up with everything committed before the call, even during another read", async () => {
  const ledger = new HeldLedger();
  const stream = await EventStream.open(ledger, new Log("error"), () => {});
  const first = stream.catchUp();
  ledger.commit();
  const asked = stream.catchUp();
  ledger.held.shift()!();
  await first;
  assert.equal(stream.position, 0, "the first read began before the commit");
  const releasing = setInterval(() => ledger.held.shift()?.(), 1);
  await asked;
  assert.equal(stream.position, 1);
  await stream[Symbol.asyncDispose]();
  clearInterval(releasing);
});

Deno.test("EventStream keeps a limited number of early events, and reads the others from Postgres", async () => {
  const count = 3 * MAX_EARLY_EVENTS;
  const committed = Array.from({ length: count }, (_, i) => event(i + 1));
  let available = false;
  const ledger = {
    query: (text: string, [after, most]: number[] = []) => {
      if (text.includes("from sequencer")) return Promise.resolve([{ epoch: "one", seq: 0, floor: 0 }]);
      if (!available) return Promise.reject(new Error("unavailable"));
      return Promise.resolve(committed.slice(after!, after! + most!));
    },
  };
  const received: number[] = [];
  const consume = (events: SequencedEvent[]) => void received.push(...events.map(({ seq }) => seq));
  await using stream = await EventStream.open(ledger as Reader, new Log("error"), consume);
  // All but the first arrive, some batches twice.
  for (let i = 1; i < count; i += 64) {
    stream.offer(committed.slice(i, i + 64));
    if (i % 5 === 0) stream.offer(committed.slice(i, i + 64));
  }
  assert.equal(stream.position, 0);
  stream.offer([committed[0]!]);
  const kept = stream.position;
  assert.ok(kept >= MAX_EARLY_EVENTS && kept < MAX_EARLY_EVENTS + 66, `${kept} events were kept`);
  // The kept ones do not count any more.
  for (let i = kept + 1; i < count; i += 64) stream.offer(committed.slice(i, i + 64));
  stream.offer([committed[kept]!]);
  assert.ok(stream.position >= kept + MAX_EARLY_EVENTS, `${stream.position - kept} events were kept`);
  available = true;
  await stream.catchUp();
  assert.deepEqual(received, committed.map(({ seq }) => seq));
});
