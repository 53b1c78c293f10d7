import type { SequencedEvent } from "../db/event.ts";

/** A message of the durable stream `events`. All installations on a bus share it, so it names the history. */
export interface EventsMessage {
  historyId: string;
  events: SequencedEvent[];
}

/** `events` is JSON. */
export function eventsMessage(historyId: string, events: string): string {
  return `{"historyId":${JSON.stringify(historyId)},"events":${events}}`;
}

export function readEventsMessage(message: string): EventsMessage {
  return JSON.parse(message) as EventsMessage;
}
