import type { Bus } from "../lib/bus/bus.ts";
import type { SequencedEvent } from "../db/event.ts";

/** Where the other nodes on the same database hear of committed events; installations may share a bus. */
export function subjectOf(historyId: string): string {
  return `rookery.sequenced.${historyId}`;
}

/**
 * Rings the doorbell for what was committed here: to the other nodes' event streams, and into the durable stream that services
 * read. Whoever misses it finds the events in the ledger, so a bus that is away is no error.
 */
export function publish(bus: Bus, historyId: string, events: SequencedEvent[]): void {
  const message = JSON.stringify(events);
  void bus.publish(subjectOf(historyId), message).catch(() => {});
  // That stream is one for all installations on the bus, so it says whose they are.
  void bus.append("events", `${historyId}:${events[0]!.seq}`, `{"historyId":"${historyId}","events":${message}}`).catch(
    () => {},
  );
}

/** Where the node with the actors tells the others whose account has changed. Whoever misses it looks by itself every few seconds. */
export function accountsSubject(historyId: string): string {
  return `rookery.accounts.${historyId}`;
}
