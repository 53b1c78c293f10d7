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

/** Undefined for a message of a stranger: streams are not sealed. It must not hold up the ones after it. */
export function readEventsMessage(message: string): EventsMessage | undefined {
  try {
    const received = JSON.parse(message) as EventsMessage | null;
    return received?.events.every(({ seq }) => Number.isSafeInteger(seq)) ? received : undefined;
  } catch {
    return undefined;
  }
}
