import { isBlocked } from "../db/blocks.ts";
import type { SequencedEvent } from "../db/event.ts";
import type { Reader } from "../db/sql.ts";
import { type AccountSnapshot, accountSnapshots } from "../db/users.ts";
import type { Log } from "../lib/log.ts";
import { CLOSE, type Connection } from "./connection.ts";
import type { Listeners } from "./listeners.ts";

/** Closes sockets whose session ended or whose account is blocked, deleted or has another role. */
export class AccountChecks {
  /** Accounts that changed and whose sockets were not checked since. */
  #unchecked = new Set<string>();
  #checking: Promise<void> | undefined;

  constructor(private readonly sql: Reader, private readonly listeners: Listeners, private readonly log: Log) {}

  /** Whether the event changes an account with sockets. */
  isConcerned({ kind, user_id }: SequencedEvent): boolean {
    return (kind === "account.changed" || kind === "user.deleted") && user_id !== null &&
      this.listeners.countOf(user_id) > 0;
  }

  /** An account may have changed: its sockets are checked, as soon as Postgres answers. */
  changed(userId: string): void {
    if (this.listeners.countOf(userId) === 0) return;
    this.#unchecked.add(userId);
    void this.finish().catch((error) => this.log.warnOften("checking listeners' accounts failed", {}, { error }));
  }

  /** Resolves when the sockets of all accounts that changed before this call were checked. */
  async finish(): Promise<void> {
    while (this.#unchecked.size > 0 || this.#checking) {
      await (this.#checking ??= this.#check([...this.#unchecked]).finally(() => this.#checking = undefined));
    }
  }

  /** Checks all accounts with sockets, in case a change was missed. */
  async recheck(): Promise<void> {
    for (const { userId } of this.listeners.all()) this.#unchecked.add(userId);
    await this.finish();
  }

  async #check(userIds: readonly string[]): Promise<void> {
    // Only sockets open before the read: for later ones it may be stale.
    const connections = [...new Set(userIds)].flatMap((userId) => this.listeners.of(userId));
    for (const userId of userIds) this.#unchecked.delete(userId);
    if (connections.length === 0) return;
    try {
      const snapshots = await accountSnapshots(this.sql, [...new Set(connections.map(({ userId }) => userId))]);
      for (const connection of connections) closeIfRevoked(connection, snapshots.get(connection.userId) ?? null);
    } catch (error) {
      for (const { userId } of connections) this.#unchecked.add(userId);
      throw error;
    }
  }
}

function closeIfRevoked(connection: Connection, snapshot: AccountSnapshot | null): void {
  if (snapshot && isBlocked(snapshot, Date.now())) connection.close(CLOSE.blocked, "account blocked");
  else if (snapshot?.session?.id !== connection.sessionId || (snapshot.role !== "user") !== connection.staff) {
    connection.close(CLOSE.sessionEnded, "session ended");
  }
}
