import assert from "node:assert/strict";
import type { SequencedEvent } from "../../db/event.ts";
import type { Reader } from "../../db/sql.ts";
import { EventStream } from "../../live/event_stream.ts";
import { Log } from "../../lib/log.ts";

/** A ledger that holds reads of new events back. Each read has what was committed when it began. */
class HeldLedger implements Reader {
  readonly committed: SequencedEvent[] = [];
  readonly held: (() => void)[] = [];

  commit(): void {
    const seq = this.committed.length + 1;
    this.committed.push({ seq, kind: "page.updated", page_id: null, post_id: null, user_id: null, data: null, at: "" });
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
