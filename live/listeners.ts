import type { SequencedEvent } from "../db/event.ts";
import type { Connection } from "./connection.ts";
import { hide, hides } from "./frames.ts";

/** The open sockets of a node: whose each is, and which pages the live ones hear of. */
export class Listeners {
  #byUser = new Map<string, Set<Connection>>();
  #byPage = new Map<string, Set<Connection>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** From now on it is one of its account's; of its pages it hears from `goLive`. */
  add(connection: Connection): void {
    add(this.#byUser, connection.userId, connection);
    this.#size++;
  }

  /** False where it is gone already. */
  remove(connection: Connection): boolean {
    if (!this.#byUser.get(connection.userId)?.has(connection)) return false;
    this.#size--;
    remove(this.#byUser, connection.userId, connection);
    for (const page of connection.pages) remove(this.#byPage, page, connection);
    connection.pages.clear();
    return true;
  }

  goLive(connection: Connection): void {
    connection.live = true;
    for (const page of connection.pages) add(this.#byPage, page, connection);
  }

  all(): Connection[] {
    return [...this.#byUser.values()].flatMap((connections) => [...connections]);
  }

  of(userId: string): Connection[] {
    return [...this.#byUser.get(userId) ?? []];
  }

  countOf(userId: string): number {
    return this.#byUser.get(userId)?.size ?? 0;
  }

  /** Whom an event may concern: those of its account, or else those who hear of its page. */
  audienceOf(event: SequencedEvent): Connection[] {
    if (event.user_id) return this.of(event.user_id);
    return event.page_id ? [...this.#byPage.get(event.page_id) ?? []] : [];
  }

  /** Keeps what these listen to true, by an event that they have been told of. */
  follow(event: SequencedEvent, connections: readonly Connection[]): void {
    const page = event.page_id;
    if (!page) return;
    for (const connection of connections) {
      if (event.kind === "follow.changed" && event.user_id === connection.userId) {
        const state = event.data?.["state"];
        if (state === "following" || state === "own") {
          connection.pages.add(page);
          if (connection.live) add(this.#byPage, page, connection);
        } else this.#forget(connection, page);
      } else if (event.kind === "page.hidden" && event.user_id === null) {
        if (event.data?.["reason"] === "deleted") this.#forget(connection, page);
        else if (hides(event)) hide(connection, page);
      } else if (event.kind === "page.shown") connection.hidden.delete(page);
    }
  }

  #forget(connection: Connection, page: string): void {
    connection.pages.delete(page);
    connection.hidden.delete(page);
    remove(this.#byPage, page, connection);
  }
}

function add(index: Map<string, Set<Connection>>, key: string, connection: Connection): void {
  const set = index.get(key);
  if (set) set.add(connection);
  else index.set(key, new Set([connection]));
}

function remove(index: Map<string, Set<Connection>>, key: string, connection: Connection): void {
  const set = index.get(key);
  set?.delete(connection);
  if (set?.size === 0) index.delete(key);
}
