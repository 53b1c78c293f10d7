import type { SequencedEvent } from "../db/event.ts";

type Consumer = (events: SequencedEvent[]) => void;

/** The parts of a node that take in committed events, each from when it stands. None throws, and none keeps the next one waiting. */
export interface Consumers {
  actors?: Consumer;
  accounts?: Consumer;
  gateway?: Consumer;
  vk?: Consumer;
  notifications?: Consumer;
}

/** All that consumes a node's event stream (`event_stream.ts`), in the order that it needs. Writes that wait for an event go on after it. */
export function deliver(consumers: Consumers, events: SequencedEvent[]): void {
  // First: whoever learns of an event may read at once, and an ask that follows finds it taken in.
  consumers.actors?.(events);
  // Asks an actor that was written past, so behind the event by which that actor lets go of what it knew.
  consumers.accounts?.(events);
  // A frame makes a client read again, which shows nothing older than the frame: behind the caches that are read from.
  consumers.gateway?.(events);
  // The rest begins work of its own that nobody waits for.
  consumers.vk?.(events);
  consumers.notifications?.(events);
}
