import { eventsAfter, sequencerState } from "../db/events.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { rebuild } from "../services/stats/rebuild.ts";
import type { Position, StatsStore } from "../services/stats/store.ts";
import { Poller } from "../lib/poller.ts";
import type { Bus, Subscription } from "../lib/bus/bus.ts";
import type { SequencedEvent } from "../db/event.ts";
import { readEventsMessage } from "./events_message.ts";
import { sleep } from "../lib/sleep.ts";

export interface StatsOptions {
  store: StatsStore;
  /** The main database; events that the bus did not deliver are read there. */
  ledger: Sql;
  /** If undefined, only the main database is read. */
  bus?: Bus | undefined;
  log: Log;
}

/** Events per statement, the pause between two, and the interval of reads without a reason (`docs/limits.md`). */
const EVENT_BATCH = 1_000;
const PACE_MS = 100;
const SWEEP_MS = 500;

/**
 * Counts all events in order, each once: position and counts change in one statement. If the counts are in the main
 * database, events are read there and the bus only triggers a read. Otherwise events come from the bus, and gaps (lost,
 * expired or deleted messages) are filled from the main database. If that no longer has them, or has another history,
 * the statistics are rebuilt.
 */
export class Stats implements AsyncDisposable {
  readonly #work: Poller;
  #at: Position | undefined;
  #subscription: Promise<Subscription> | undefined;

  constructor(private readonly options: StatsOptions) {
    const { bus, log } = options;
    this.#work = new Poller({
      everyMs: SWEEP_MS,
      paceMs: PACE_MS,
      step: () => this.#readOn(),
      onFailure: (error) => {
        this.#at = undefined;
        log.warnOften("counting events failed, retrying", {}, { error });
      },
    });
    if (bus) this.#subscription = this.#listen(bus);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const subscription = await this.#subscription?.catch(() => undefined);
    await subscription?.[Symbol.asyncDispose]();
    await this.#work[Symbol.asyncDispose]();
  }

  /** Consumers of one name share the stream, so each installation has its own. */
  async #listen(bus: Bus): Promise<Subscription> {
    const { epoch } = await this.#known(() => sequencerState(this.options.ledger));
    return await bus.consume("events", `stats_${epoch}`, async (message) => {
      const received = readEventsMessage(message);
      // From another installation on the same bus.
      if (received?.historyId !== epoch) return;
      if (this.options.store.besideLedger || epoch !== this.#at?.epoch || !await this.#take(received.events)) {
        this.#work.wake();
      }
      // Earlier events are in the database.
    }, { from: "next" });
  }

  /** Retries until the database answers. */
  async #known<Value>(ask: () => Promise<Value>): Promise<Value> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (this.#work.closed) throw error;
        await sleep(SWEEP_MS);
      }
    }
  }

  /** Counts the new ones among consecutive events. False if earlier ones are missing. */
  async #take(events: readonly SequencedEvent[]): Promise<boolean> {
    const at = this.#at;
    if (!at) return false;
    const fresh = events.filter(({ seq }) => seq > at.seq);
    if (fresh.length === 0) return true;
    if (fresh[0]!.seq !== at.seq + 1) return false;
    const moved = await this.options.store.apply(at, fresh);
    // Another process or the sweep was faster, so the position is read again.
    if (this.#at === at) this.#at = moved ? { epoch: at.epoch, seq: fresh.at(-1)!.seq } : undefined;
    return moved;
  }

  /** Counts some events from the main database. True if there may be more. */
  async #readOn(): Promise<boolean> {
    const { store, ledger, log } = this.options;
    // Read each time, because the counts may be deleted without notice.
    const at = this.#at = await store.position();
    const { epoch, seq, floor } = await sequencerState(ledger);
    if (!at || at.epoch !== epoch || at.seq > seq || at.seq < floor) {
      log.info("rebuilding statistics", { had: at });
      // A second process that rebuilds must not reset the progress of the first.
      await rebuild(store, ledger, at ?? "nowhere");
      return true;
    }
    if (at.seq === seq) return false;
    if (store.besideLedger) {
      const { seen, at: now } = await store.applyLedger(at, EVENT_BATCH);
      this.#at = now;
      return seen === EVENT_BATCH;
    }
    const events = await eventsAfter(ledger, at.seq, EVENT_BATCH);
    await this.#take(events);
    return events.length === EVENT_BATCH;
  }
}
