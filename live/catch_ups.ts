import type { SequencedEvent } from "../db/event.ts";
import type { Connection } from "./connection.ts";
import { hide } from "./frames.ts";

interface Joiner {
  /** The event up to which its pages are known; -1 while they are being read. */
  asOf: number;
  /** For each page, the last block that the gateway's loop has processed since this socket joined. */
  blocks: Map<string, number>;
}

/**
 * Sockets that are catching up. The gateway's loop does not deliver to them yet, so their hidden pages are tracked
 * here.
 */
export class CatchUps {
  #joiners = new Map<Connection, Joiner>();

  add(connection: Connection): void {
    this.#joiners.set(connection, { asOf: -1, blocks: new Map() });
  }

  remove(connection: Connection): void {
    this.#joiners.delete(connection);
  }

  /** The pages of a socket were read, as of the event `asOf`. */
  know(connection: Connection, asOf: number, pages: readonly { id: string; visible: boolean }[]): void {
    const joiner = this.#joiners.get(connection)!;
    joiner.asOf = asOf;
    connection.pages.clear();
    connection.hidden.clear();
    for (const { id, visible } of pages) {
      connection.pages.add(id);
      if (!visible) connection.hidden.add(id);
      // The loop may be ahead of the snapshot, and may have acknowledged this block already.
      else if ((joiner.blocks.get(id) ?? -1) > asOf) hide(connection, id);
    }
  }

  /** The loop has processed a block. */
  hide({ seq, page_id }: SequencedEvent): void {
    for (const [connection, { asOf, blocks }] of this.#joiners) {
      blocks.set(page_id!, seq);
      // The snapshot may be newer than the loop and already show the page again.
      if (seq > asOf) hide(connection, page_id!);
    }
  }
}
