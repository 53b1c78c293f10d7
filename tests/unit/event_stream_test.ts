import assert from "node:assert/strict";
import type { SequencedEvent } from "../../db/event.ts";
import type { Reader } from "../../db/sql.ts";
import { EventStream, MAX_EARLY_EVENTS } from "../../live/event_stream.ts";
import { Log } from "../../lib/log.ts";
import { until } from "../support/wait.ts";

const quiet = new class extends Log {
  override warn() {}
}("error");

const event = (seq: number): SequencedEvent => ({
  ...{ seq, kind: "page.updated", page_id: null, post_id: null },
  ...{ user_id: null, data: null, at: "" },
});

/** A ledger that holds reads of new events back. Each read has what was committed when it began. */
class HeldLedger implements Reader {
  readonly committed: SequencedEvent[] = [];
  readonly held: (() => void)[] = [];
  #isOpen = false;

  /** Holds nothing back any more. */
  release(): void {
    this.#isOpen = true;
    for (const answer of this.held.splice(0)) answer();
  }

  commit(): void {
    this.committed.push(event(this.committed.length + 1));
  }

  async query<Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
    if (text.includes("from sequencer")) return [{ epoch: "one", seq: 0, floor: 0 }] as Row[];
    const read = this.committed.filter(({ seq }) => seq > Number(params[0]));
    if (!this.#isOpen) await new Promise<void>((resolve) => this.held.push(resolve));
    return read as Row[];
  }
}

/** Waits until the stream gives up. Its own timer does not keep the process alive. */
async function inVain(waiting: Promise<void>): Promise<void> {
  const alive = setInterval(() => {}, 1_000);
  await waiting.finally(() => clearInterval(alive));
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

Deno.test("EventStream is stalled until it has the event that somebody waited for in vain", async () => {
  const ledger = new HeldLedger();
  await using stream = await EventStream.open(ledger, quiet, () => {});
  // What is held back would hold back the end, too.
  using _end = { [Symbol.dispose]: () => ledger.release() };
  for (let i = 0; i < 3; i++) ledger.commit();
  await inVain(stream.applied(3));
  assert.deepEqual([stream.stalled, stream.position, stream.known], [true, 0, 3]);
  stream.offer([event(1)]);
  assert.ok(stream.stalled, "two events are missing");
  stream.offer([event(2), event(3)]);
  assert.deepEqual([stream.stalled, stream.known], [false, 3]);
});

Deno.test("EventStream stays stalled after a read that began before somebody waited", async () => {
  const ledger = new HeldLedger();
  await using stream = await EventStream.open(ledger, quiet, () => {});
  const reading = stream.catchUp();
  ledger.commit();
  await inVain(stream.applied(1));
  ledger.held.shift()!();
  await reading;
  assert.deepEqual([stream.stalled, stream.position], [true, 0]);
  ledger.release();
  await until("the next read", () => !stream.stalled && stream.position === 1);
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
