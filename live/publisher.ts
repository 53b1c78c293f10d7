import { eventsMessage } from "../actors/events_message.ts";
import type { Bus } from "../lib/bus/bus.ts";
import type { SequencedEvent } from "../db/event.ts";

/** The subject on which nodes of one database receive committed events. Installations may share a bus. */
export function subjectOf(historyId: string): string {
  return `rookery.sequenced.${historyId}`;
}

/**
 * Publishes events committed here to the other nodes' event streams and to the durable stream for services. Receivers
 * read missed events from Postgres, so an unavailable bus is not an error.
 */
export function publish(bus: Bus, historyId: string, events: SequencedEvent[]): void {
  const message = JSON.stringify(events);
  void bus.publish(subjectOf(historyId), message).catch(() => {});
  void bus.append("events", `${historyId}:${events[0]!.seq}`, eventsMessage(historyId, message)).catch(() => {});
}

/** The subject on which nodes announce that partitions became free or have a new owner. */
export function placementSubject(historyId: string): string {
  return `rookery.placement.${historyId}`;
}
