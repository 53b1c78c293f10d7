import type { SequencedEvent } from "../db/event.ts";
import type { Connection } from "./connection.ts";
import { hide, hides, unfollows } from "./frames.ts";

/** The open sockets of a node, by account, and the live ones by page. */
export class Listeners {
  #byUser = new Map<string, Set<Connection>>();
  #byPage = new Map<string, Set<Connection>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Registers a socket for its account. Events of its pages reach it after `goLive`. */
  add(connection: Connection): void {
    add(this.#byUser, connection.userId, connection);
    this.#size++;
  }

  /** False if it is already removed. */
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

  /** Whether an open socket receives the live stream. */
  hasLive(): boolean {
    return this.all().some(({ live, open }) => live && open);
  }

  of(userId: string): Connection[] {
    return [...this.#byUser.get(userId) ?? []];
  }

  *counts(): Iterable<[userId: string, sockets: number]> {
    for (const [userId, connections] of this.#byUser) yield [userId, connections.size];
  }

  countOf(userId: string): number {
    return this.#byUser.get(userId)?.size ?? 0;
  }

  /** The sockets an event may concern: those of its account, or those that listen to its page. */
  audienceOf(event: SequencedEvent): Connection[] {
    if (event.user_id) return this.of(event.user_id);
    return event.page_id ? [...this.#byPage.get(event.page_id) ?? []] : [];
  }

  /** Updates subscriptions by an event that these sockets were sent. */
  follow(event: SequencedEvent, connections: readonly Connection[]): void {
    const page = event.page_id;
    if (!page) return;
    for (const connection of connections) {
      if (event.kind === "follow.changed" && event.user_id === connection.userId) {
        if (unfollows(event)) this.#forget(connection, page);
        else {
          connection.pages.add(page);
          if (connection.live) add(this.#byPage, page, connection);
        }
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
