import type { SequencedEvent } from "../../db/event.ts";

/** Events kept for nobody before they are removed. */
const TRIM_AT = 1_024;

/**
 * Events that arrive during turns. What a turn reads decides which pages its actor watches, so only after it is known
 * which of them concern the actor.
 */
export class TurnEvents<Actor> {
  #events: SequencedEvent[] = [];
  /** The number of events removed from the front. */
  #removed = 0;
  /** Actors in a turn, and the number of events before it. The oldest turn is first. */
  #begun = new Map<Actor, number>();

  /** Events in memory. */
  get size(): number {
    return this.#events.length;
  }

  begin(actor: Actor): void {
    this.#begun.set(actor, this.#removed + this.#events.length);
  }

  add(event: SequencedEvent): void {
    if (this.#begun.size > 0) this.#events.push(event);
  }

  /** The events since the turn began, in order. */
  end(actor: Actor): SequencedEvent[] {
    const begun = this.#begun.get(actor);
    if (begun === undefined) return [];
    this.#begun.delete(actor);
    if (this.#events.length === 0) return [];
    const events = this.#events.slice(begun - this.#removed);
    const needed = this.#begun.values().next().value ?? this.#removed + this.#events.length;
    if (this.#begun.size === 0 || needed - this.#removed >= TRIM_AT) {
      this.#events.splice(0, needed - this.#removed);
      this.#removed = needed;
    }
    return events;
  }
}
