import type { SequencedEvent } from "../db/event.ts";
import type { Connection } from "./connection.ts";
import { hide } from "./frames.ts";

interface Joiner {
  /** The last event in what it knows of its pages; -1 while that is still being read. */
  asOf: number;
  /** The last block of each page that the gateway's loop has met since it came. */
  blocks: Map<string, number>;
}

/** Sockets that catch up, which the gateway's loop does not reach yet: what they may not be shown is kept true beside it. */
export class CatchUps {
  #joiners = new Map<Connection, Joiner>();

  add(connection: Connection): void {
    this.#joiners.set(connection, { asOf: -1, blocks: new Map() });
  }

  remove(connection: Connection): void {
    this.#joiners.delete(connection);
  }

  /** One of them has read its pages, as they were after the event `asOf`. */
  know(connection: Connection, asOf: number, pages: readonly { id: string; visible: boolean }[]): void {
    const joiner = this.#joiners.get(connection)!;
    joiner.asOf = asOf;
    connection.pages.clear();
    connection.hidden.clear();
    for (const { id, visible } of pages) {
      connection.pages.add(id);
      if (!visible) connection.hidden.add(id);
      // The loop may be ahead of what was read, and a block that it has dealt with is acknowledged.
      else if ((joiner.blocks.get(id) ?? -1) > asOf) hide(connection, id);
    }
  }

  /** The loop has met a block. */
  hide({ seq, page_id }: SequencedEvent): void {
    for (const [connection, { asOf, blocks }] of this.#joiners) {
      blocks.set(page_id!, seq);
      // What it has read may know more than the loop: that the page is shown again.
      if (seq > asOf) hide(connection, page_id!);
    }
  }
}
