import type { SequencedEvent } from "../db/event.ts";

type Consumer = (events: SequencedEvent[]) => void;

/** The consumers of a node's event stream, each set once its part has started. They neither throw nor block. */
export interface Consumers {
  actors?: Consumer;
  accounts?: Consumer;
  likes?: Consumer;
  photos?: Consumer;
  gateway?: Consumer;
  vk?: Consumer;
  notifications?: Consumer;
}

/** Passes events of `event_stream.ts` to all consumers, in the order they require. Waiting writes resume afterwards. */
export function deliver(consumers: Consumers, events: SequencedEvent[]): void {
  // First: a client may read as soon as it learns of an event. Commands sent afterwards find the event applied.
  consumers.actors?.(events);
  // Before a caller resumes: the next request of the account sees its new state.
  consumers.accounts?.(events);
  // A frame makes clients read again, so the caches they read from must not be older than the frame.
  consumers.gateway?.(events);
  // These start work that no caller waits for.
  consumers.likes?.(events);
  consumers.photos?.(events);
  consumers.vk?.(events);
  consumers.notifications?.(events);
}
