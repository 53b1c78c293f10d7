import type { SequencedEvent } from "../db/event.ts";
import type { Connection } from "./connection.ts";

/** What the gateway's loop has to process. Of events that nobody has to receive, only the position matters. */
export type GatewayItem =
  | { events: SequencedEvent[] }
  | { position: number }
  | { joins: Connection; done: (joined: boolean) => void }
  | { beats: true };

/** The items that wait for the gateway's loop, in order. */
export class GatewayQueue {
  #items: GatewayItem[] = [];
  #events = 0;

  /** The number of events in it. */
  get events(): number {
    return this.#events;
  }

  push(item: GatewayItem): void {
    if ("events" in item) this.#events += item.events.length;
    const last = this.#items.at(-1);
    if ("position" in item && last && "position" in last) last.position = item.position;
    else this.#items.push(item);
  }

  shift(): GatewayItem | undefined {
    const item = this.#items.shift();
    if (item && "events" in item) this.#events -= item.events.length;
    return item;
  }

  /** Keeps only the position of events, because nobody has to receive them any more. */
  forgetEvents(): void {
    if (this.#events === 0) return;
    this.#events = 0;
    for (const item of this.#items.splice(0)) {
      this.push("events" in item ? { position: item.events.at(-1)!.seq } : item);
    }
  }
}
