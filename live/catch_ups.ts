import type { SequencedEvent } from "../db/event.ts";
import type { Connection } from "./connection.ts";
import { hide, hides, unfollows } from "./frames.ts";

interface Joiner {
  /** The event as of which its pages are known; undefined while they are being read. */
  asOf: number | undefined;
  /** Events processed during that read. Its result may be from before them. */
  withdrawals: SequencedEvent[];
}

interface Snapshot {
  seq: number;
  pages: readonly { id: string; visible: boolean }[];
}

/**
 * Sockets that are catching up. The gateway's loop does not deliver to them yet, so what withdraws pages from them,
 * blocks and the end of following, is tracked here. Everything else takes effect when they go live.
 */
export class CatchUps {
  #joiners = new Map<Connection, Joiner>();

  remove(connection: Connection): void {
    this.#joiners.delete(connection);
  }

  /** Sets the pages of a socket to those read. Returns the event as of which they are known. */
  async know(connection: Connection, read: () => Promise<Snapshot>): Promise<number> {
    const joiner: Joiner = { asOf: undefined, withdrawals: [] };
    this.#joiners.set(connection, joiner);
    const { seq, pages } = await read();
    connection.pages.clear();
    connection.hidden.clear();
    for (const { id, visible } of pages) {
      connection.pages.add(id);
      if (!visible) connection.hidden.add(id);
    }
    joiner.asOf = seq;
    // The loop may be ahead of the snapshot, and may have acknowledged these already.
    for (const event of joiner.withdrawals.splice(0)) this.#withdraw(connection, event);
    return seq;
  }

  /** The loop has processed an event. `connections` are all sockets of the event's account, if it has one. */
  follow(event: SequencedEvent, connections: readonly Connection[]): void {
    if (hides(event)) { for (const connection of this.#joiners.keys()) this.#withdraw(connection, event); }
    else if (unfollows(event)) { for (const connection of connections) this.#withdraw(connection, event); }
  }

  #withdraw(connection: Connection, event: SequencedEvent): void {
    const joiner = this.#joiners.get(connection);
    if (!joiner) return;
    if (joiner.asOf === undefined) joiner.withdrawals.push(event);
    // Otherwise the snapshot is newer than the loop, and may already have the page again.
    else if (event.seq > joiner.asOf) {
      if (hides(event)) return hide(connection, event.page_id!);
      connection.pages.delete(event.page_id!);
      connection.hidden.delete(event.page_id!);
    }
  }
}
